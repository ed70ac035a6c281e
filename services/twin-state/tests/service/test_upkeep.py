"""The upkeep of history: bounded turns that fold and delete, and that outlive a database or vault that is away."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics
from didymos_testing.clock import FixedClock, seeded_ids
from didymos_testing.did import RESEARCH, STRANGER
from didymos_testing.kit import problem_codes
from didymos_testing.twin_state import PlainSeals
from didymos_testing.twin_stores import a_twin
from didymos_testing.twin_world import twin_world
from didymos_twin_state.adapters.history import SqlHistory
from didymos_twin_state.adapters.past import SqlPast
from didymos_twin_state.application.fold_history import Folder
from didymos_twin_state.application.ports import Dirty, Marks, ParcelRow, StoredParcel
from didymos_twin_state.application.read_twin import part_of
from didymos_twin_state.domain.reading import Column, OpenParcel
from didymos_twin_state.domain.rollup import DAY_US, HOUR_US, MINUTE_US
from didymos_twin_state.entrypoints.upkeep import Retention, Upkeep


@dataclass
class World:
    database: Database
    clock: FixedClock = field(default_factory=FixedClock)
    parcels: dict[tuple[str, int], OpenParcel] = field(default_factory=dict)
    away: bool = False

    def __post_init__(self) -> None:
        self.history, self.past = SqlHistory(self.database), SqlPast(self.database)
        self.seals = PlainSeals(epoch=self.clock.now_us() // DAY_US)

    async def opened(self, stored: StoredParcel) -> OpenParcel | None:
        if self.away:
            raise PLATFORM_UNAVAILABLE.problem(dependency="vault")
        return self.parcels[stored.twin, stored.offset]

    async def hold(self, twins: Iterable[str], at_us: int, key_epoch: int) -> None:
        """A parcel a twin."""
        for twin in twins:
            part = part_of(twin)
            claimed = await self.history.claim(part, "test")
            marks = claimed.marks
            one = np.array([90], np.uint8)
            column = Column("p", "u", np.array([at_us], np.int64), np.ones(1), one, one * 0, np.arange(1))
            parcel = OpenParcel(twin, "d", 1, marks.readings + 1, b"d" * 32, (column,), marks.readings)
            self.parcels[twin, marks.readings] = parcel
            row = ParcelRow(parcel, 0, key_epoch, b"", b"", at_us, at_us)
            dirty = Dirty(parcels=[row], twins={twin: a_twin(twin)})
            await self.history.checkpoint(part, claimed.epoch, marks, Marks(marks.readings + 1, 0), dirty)

    def upkeep(self, parts: Iterable[int], **days: int) -> Upkeep:
        kept = Retention(**({"parcels": 90, "series": 730, "minutes": 400, "hours": 3650} | days))
        folder = Folder(self.past, self.opened, self.seals)
        return Upkeep(folder, lambda: list(parts), kept, {}, self.clock, Metrics())

    async def fresh(self, twin: str) -> int:
        return len([each async for each in self.past.fresh(part_of(twin), twin, 0, 1 << 60)])

    async def kept(self, twin: str) -> tuple[int, int, int]:
        """Parcels, rows of series, entries of minutes."""
        parcels = [each async for each in self.history.parcels(twin, 0, 1 << 60)]
        series = await self.past.series(twin, "p", 0, 1 << 60)
        chunks = await self.past.chunks(twin, "p", MINUTE_US, 0, 1 << 60)
        return len(parcels), len(series), len(chunks)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    engine, clock = sqlite_engine(tmp_path / "twin-state.db"), FixedClock()
    await upgrade(engine, migrations_of("twin-state"))
    async with Database(engine, "twin-state", Stamp("didymos://test/twin-state", clock, seeded_ids(clock))) as database:
        yield World(database)


def today(world: World) -> int:
    return world.clock.now_us() // DAY_US


async def test_a_turn_folds_what_is_due_of_the_partitions_in_hand(world: World) -> None:
    twins = [f"t{at}" for at in range(60)]
    await world.hold(twins, world.clock.now_us() - 2 * HOUR_US, today(world))
    await world.hold(["t0"], world.clock.now_us(), today(world))
    mine = {part_of(twin) for twin in twins} - {part_of("t1")}
    await world.upkeep(mine).turn(Stopping())
    left = {twin for twin in twins if await world.fresh(twin)}
    assert left == {"t0", *(twin for twin in twins if part_of(twin) == part_of("t1"))}


async def test_age_counts_from_arrival_and_spares_what_is_not_folded(world: World) -> None:
    old, now = 10 * DAY_US, today(world)  # of 1970: measured long ago, but it came today
    await world.hold(["imported"], old, now)
    await world.hold(["aged", "open"], old, now - 91)
    upkeep = world.upkeep({part_of("imported"), part_of("aged")} - {part_of("open")})
    await upkeep.turn(Stopping())
    assert await world.kept("imported") == (1, 1, 1)
    assert await world.kept("aged") == (0, 1, 1)
    assert await world.kept("open") == (1, 0, 0)
    await world.upkeep({}, series=-1).turn(Stopping())  # as if two years had gone by
    assert await world.kept("imported") == (1, 0, 1)
    await world.upkeep({}, minutes=-1).turn(Stopping())
    assert await world.kept("imported") == (1, 0, 0)
    assert len(await world.past.chunks("imported", "p", HOUR_US, 0, 1 << 60)) == 1


async def test_what_is_away_is_waited_for_turn_by_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.hold(["t"], 10 * DAY_US, today(world))
    stopping, upkeep, turns = Stopping(), world.upkeep({part_of("t")}), 0
    turn = upkeep.turn

    async def counted(until: Stopping) -> None:
        nonlocal turns
        turns += 1
        world.away = turns == 1
        if turns == 2:
            stopping.set()
            until = Stopping()
        await turn(until)

    monkeypatch.setattr(upkeep, "turn", counted)
    world.away = True
    await upkeep.run(stopping, 0.001)
    assert (turns, await world.fresh("t")) == (2, 0)


async def test_a_process_that_drains_waits_for_no_turn(world: World) -> None:
    await world.hold([f"t{at}" for at in range(5)], 10 * DAY_US, today(world))
    stopping: Any = Stopping()
    stopping.set()
    await world.upkeep(range(64)).turn(stopping)
    assert await world.fresh("t0") == 1


async def test_an_owner_says_how_long_its_past_is_kept(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        await world.create()
        path = f"/v1/twins/{world.twin}/retention"
        async with world.rest(world.owner) as client:
            kept = await client.put(path, json={"days": 30})
            shown = await client.get(f"/v1/twins/{world.twin}")
            freed = await client.put(path, json={"days": None})
            after = await client.get(f"/v1/twins/{world.twin}", headers={"consistency-token": freed.json()["token"]})
            refused = [await client.put(path, json=said) for said in ({"days": 0}, {"days": 3651}, {})]
        async with world.rest(STRANGER, RESEARCH) as client:
            refused.append(await client.put(path, json={"days": 1}))
    assert (kept.json()["revision"], shown.json()["keep_days"]) == (2, 30)
    assert (freed.json()["revision"], after.json()["keep_days"]) == (3, None)
    assert problem_codes(refused) == [*[(422, "platform.invalid_field")] * 3, (404, "platform.not_found")]
