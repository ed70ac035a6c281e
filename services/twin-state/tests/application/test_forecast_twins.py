"""Forecasts as readings come: many twins at once, each by its own model, and none waits for a broken one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import isfinite
from pathlib import Path

import numpy as np
import pytest
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_kit.files.folder import FolderFiles
from didymos_learning import Flat, Scale, demo_spec, flat_bytes
from didymos_learning.serving import ServedModel
from didymos_privacy import Recipient, model_info, seal_to
from didymos_testing.clock import FixedClock
from didymos_testing.twin_past import MemoryPast
from didymos_testing.twin_state import MemoryHistory, MemoryHot, Mortality, PlainSeals
from didymos_twin_state.adapters.models import ModelFiles
from didymos_twin_state.adapters.predictor import PackedPredictor
from didymos_twin_state.application.forecast_twins import Forecasters, News, Rounds
from didymos_twin_state.application.ports import Marks, ParcelRow, StoredParcel
from didymos_twin_state.application.read_history import Past
from didymos_twin_state.application.read_twin import Twins, part_of
from didymos_twin_state.application.track_twins import Sources
from didymos_twin_state.domain.command import Command, WithdrawModel
from didymos_twin_state.domain.forecast import Made, Served
from didymos_twin_state.domain.reading import Column, OpenParcel
from didymos_twin_state.domain.twin import Cell, Model, TwinState, pack

NAME, UNIT, TASK = "glucose/level", "mg/dL", "forecast:features/glucose/level:1800s"
SPEC = demo_spec(bytes(32))
PERIOD_US = 300_000_000
SIZE = SPEC.model.layout.size
ROW_BYTES = 4 * 4_900  # of one twin's packed parameters, at least


def parameters(seed: int) -> Flat:
    """Of an LSTM that says something else for every seed."""
    flat = np.random.default_rng(seed).normal(0, 0.2, SIZE).astype(np.float32)
    flat[-16:] = 0.0
    return flat


@dataclass
class World:
    """Twins, their past, models and files; fills `Models`, `Book` and `WriteLog`."""

    folder: Path
    most_bytes: int = 1 << 24
    clock: FixedClock = field(default_factory=FixedClock)
    hot: MemoryHot = field(default_factory=lambda: MemoryHot(Mortality()))
    history: MemoryHistory = field(default_factory=lambda: MemoryHistory(Mortality()))
    parcels: dict[int, OpenParcel] = field(default_factory=dict)
    known: dict[str, Served] = field(default_factory=dict)
    kept: list[Made] = field(default_factory=list)
    written: list[Command] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    spoke: list[str] = field(default_factory=list)
    packed: list[int] = field(default_factory=list)
    away: bool = False

    def __post_init__(self) -> None:
        self.files, self.recipient = FolderFiles(self.folder), Recipient(b"p" * 32)
        self.predictor = PackedPredictor(ModelFiles(self.files), self.recipient, self.most_bytes, self.packed.append)
        twins = Twins(self.hot, self.history, PlainSeals(), 0.05)

        async def opened(stored: StoredParcel) -> OpenParcel | None:
            return self.parcels.get(stored.offset)

        past = Past(self.history, MemoryPast(self.history), opened, PlainSeals(), 0.05)
        sources = Sources(twins, past, self, self.predictor, self.clock.monotonic, self.refused.append)
        self.rounds = Rounds(Forecasters(sources, self, self, self.clock, "didymos://test", self.spoke.append))

    def shared(self, name: str) -> Sequence[Served]:
        return [model for model in self.known.values() if not model.twin and model.name == name]

    def of(self, model_id: str) -> Served | None:
        return self.known.get(model_id)

    def has_own(self, twin: str) -> bool:
        return any(model.twin == twin for model in self.known.values())

    async def keep(self, made: Sequence[Made]) -> None:
        if self.away:
            raise PLATFORM_UNAVAILABLE.problem(dependency="database")
        self.kept += made

    async def append(self, command: Command) -> int:
        self.written.append(command)
        return len(self.written)

    async def model(self, seed: int, twin: str = "", broken: bytes = b"", since_us: int = 0) -> Served:
        """A registered model; personal ones are sealed as a site seals them."""
        raw = broken or flat_bytes(parameters(seed))
        if twin and not broken:
            served = ServedModel(parameters(seed), Scale(120.0, 20.0, 3.0, 12.0), 9.0)
            raw = seal_to(self.recipient.public, served.to_bytes(), model_info("run", twin))
        task = SPEC.model.task
        found = Served(
            f"m-{seed}", "run", twin, TASK, NAME, UNIT, PERIOD_US, task.input, task.horizon * PERIOD_US,
            await self._put(SPEC.to_json()), await self._put(raw), -5.0, 5.0, {}, since_us,
        )  # fmt: skip
        self.known[found.model_id] = found
        return found

    async def twin(self, number: int, values: Sequence[float], model: str = "") -> str:
        """A twin with as many readings behind it, served by this model."""
        twin, begin_us = f"did:key:z{number}", self.clock.now_us() - len(values) * PERIOD_US
        part, times = part_of(twin), [begin_us + at * PERIOD_US for at in range(len(values))]
        offset, count = len(self.parcels), np.ones(len(times), np.uint8)
        column = Column(NAME, UNIT, np.array(times), np.array(values), count * 90, count * 0, np.arange(len(times)))
        self.parcels[offset] = parcel = OpenParcel(twin, "d", 1, 1, sha256(twin.encode()).digest(), (column,), offset)
        self.history.rows.append(ParcelRow(parcel, 0, 1, b"", b"", times[0], times[-1]))
        self.hot.at[part] = Marks(offset + 1, 0)
        self.state(twin, times[-1], values[-1], model)
        return twin

    def state(self, twin: str, at_us: int, value: float, model: str) -> None:
        cells = {NAME: Cell(value, at_us, "d", 1, 1, 0, 90, 0, UNIT)}
        models = {TASK: Model(model, TASK, personal=True)} if model else {}
        held = TwinState(lifecycle=2, owner="did:key:o", position=1, cells=cells, models=models)
        self.hot.blobs[part_of(twin), twin] = pack(held)

    def reads(self, twin: str, value: float, steps: int = 0) -> News:
        """A reading one period after the last, or so many later."""
        return News(twin, {NAME: (self.clock.now_us() + steps * PERIOD_US, value, UNIT)})

    async def _put(self, data: bytes) -> bytes:
        digest = sha256(data).digest()
        await self.files.put(f"models/{digest.hex()}", data)
        return digest

    def means(self) -> dict[str, float]:
        return {made.twin: made.forecast.mean for made in self.kept}


def a_day(seed: int, count: int = 24) -> list[float]:
    return [float(value) for value in 120.0 + np.cumsum(np.random.default_rng(seed).normal(0, 3, count))]


async def test_twins_of_a_batch_are_foretold_at_once_as_each_would_be_alone(tmp_path: Path) -> None:
    together, found = World(tmp_path / "a"), dict[str, float]()
    for number in range(5):
        await together.model(number, f"did:key:z{number}")
        twin = await together.twin(number, a_day(number), f"m-{number}")
        alone = World(tmp_path / f"b{number}")
        await alone.model(number, twin)
        await alone.twin(number, a_day(number), f"m-{number}")
        assert await alone.rounds.forecast([News(twin)]) == 1
        assert await alone.rounds.forecast([alone.reads(twin, 130.0)]) == 1
        found |= alone.means()
    news = [News(f"did:key:z{number}") for number in range(5)]
    assert await together.rounds.forecast(news) == 5
    assert await together.rounds.forecast([together.reads(each.twin, 130.0) for each in news]) == 5
    assert together.means() == pytest.approx(found, rel=1e-6)
    assert len(set(together.means().values())) == 5
    assert {made.forecast.at_us - made.last_us for made in together.kept} == {6 * PERIOD_US}
    assert together.spoke == ["personal"] * 10


async def test_a_twin_with_a_broken_model_stops_no_other_and_gets_the_shared_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.model(9)
    for number in range(4):
        await world.model(number, f"did:key:z{number}", broken=b"" if number else b"nothing to open")
    await nan_model(world, "did:key:z2")
    twins = [await world.twin(number, a_day(number, 60), f"m-{number}") for number in range(4)]
    assert await world.rounds.forecast([News(twin) for twin in twins]) == 4
    assert {made.twin[-1]: made.forecast.model_id for made in world.kept} == {
        "0": "m-9", "1": "m-1", "2": "m-9", "3": "m-3",
    }  # fmt: skip
    assert all(isfinite(mean) for mean in world.means().values())
    assert sorted(world.refused) == ["model_unreadable", "not_finite"]
    assert sorted(world.spoke) == ["personal", "personal", "shared", "shared"]


async def nan_model(world: World, twin: str) -> Served:
    """One that opens and says nothing that is a number."""
    served = ServedModel(np.full(SIZE, np.nan, np.float32), Scale(120.0, 20.0, 3.0, 12.0), 9.0)
    raw = seal_to(world.recipient.public, served.to_bytes(), model_info("run", twin))
    return await world.model(2, twin, broken=raw)


async def test_parameters_are_kept_within_their_bound_and_packed_again_when_needed(tmp_path: Path) -> None:
    world = World(tmp_path, most_bytes=3 * ROW_BYTES + ROW_BYTES // 2)
    for number in range(6):
        await world.model(number, f"did:key:z{number}")
        await world.twin(number, a_day(number), f"m-{number}")
    news = [News(f"did:key:z{number}") for number in range(6)]
    assert await world.rounds.forecast(news) == 6
    first, world.kept = world.means(), []
    assert await world.rounds.forecast([News(each.twin, restated=True) for each in news]) == 6
    assert world.means() == first
    assert 0 < max(world.packed) <= world.most_bytes


async def test_nothing_is_read_of_a_twin_that_never_had_a_model_of_its_own(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.model(9)
    twin = "did:key:z5"  # its partition is being recovered: to read it would wait and fail
    assert await world.rounds.forecast([News(twin, restated=True), world.reads(twin, 100.0)]) == 0
    await world.model(5, twin)
    with pytest.raises(Problem, match="token_timeout"):
        await world.rounds.forecast([world.reads(twin, 100.0)])


async def test_a_model_that_is_told_of_late_is_found_a_moment_after_it_was_attached(tmp_path: Path) -> None:
    world = World(tmp_path)
    twin = await world.twin(1, a_day(1), "m-1")
    assert await world.rounds.forecast([News(twin, restated=True)]) == 0
    await world.model(1, twin)
    world.clock.advance(3)
    assert await world.rounds.forecast([]) == 1


async def test_what_could_not_be_kept_is_foretold_when_it_is_told_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.model(1, "did:key:z1")
    twin = await world.twin(1, a_day(1), "m-1")
    await world.rounds.forecast([News(twin)])
    world.away, news, world.kept = True, [world.reads(twin, 131.0)], []
    with pytest.raises(Problem, match="unavailable"):
        await world.rounds.forecast(news)
    world.away = False
    assert await world.rounds.forecast(news) == 1
    assert world.kept[0].last == 131.0


async def test_a_gap_is_not_foretold_over_and_its_window_is_read_once_more(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.model(1, "did:key:z1")
    twin = await world.twin(1, a_day(1), "m-1")
    world.state(twin, world.clock.now_us() + PERIOD_US, 140.0, "m-1")  # history is behind: one reading is missing
    assert await world.rounds.forecast([News(twin)]) == 0
    assert (world.refused, world.spoke) == (["gap"], ["none"])
    other = await world.twin(2, a_day(2), "m-2")
    await world.model(2, other)
    world.state(other, world.clock.now_us() + PERIOD_US, 140.0, "m-2")  # and one that stays so: readings are missing
    assert await world.rounds.forecast([News(other)]) == 0
    world.state(twin, world.clock.now_us() - PERIOD_US, 140.0, "m-1")
    assert await world.rounds.forecast([]) == 0  # not yet
    world.clock.advance(3)
    assert await world.rounds.forecast([]) == 1
    world.clock.advance(3)
    assert await world.rounds.forecast([]) == 0
    assert world.refused == ["gap"] * 3  # nobody goes on asking


async def test_older_readings_change_nothing_and_a_corrected_one_is_foretold_anew(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.model(1, "did:key:z1")
    twin = await world.twin(1, a_day(1), "m-1")
    await world.rounds.forecast([News(twin)])
    await world.rounds.forecast([world.reads(twin, 131.0)])
    before = world.kept[-1]
    assert await world.rounds.forecast([world.reads(twin, 90.0, -4)]) == 0
    assert await world.rounds.forecast([world.reads(twin, 141.0)]) == 1
    assert (world.kept[-1].last_us, world.kept[-1].last) == (before.last_us, 141.0)
    assert world.kept[-1].forecast.mean != before.forecast.mean


async def test_a_replay_widens_the_band_and_takes_a_model_away_that_lost_its_gain(tmp_path: Path) -> None:
    world = World(tmp_path)
    values, now_us = a_day(3, 900), world.clock.now_us()
    wrong = np.zeros(SIZE, np.float32)
    SPEC.model.layout.view(wrong, SPEC.model.layout.slot("head.bias"))[0] = 3.0
    twin = await world.twin(1, values, "m-1")
    served = ServedModel(wrong, Scale(120.0, 20.0, 3.0, 12.0), 9.0)
    raw = seal_to(world.recipient.public, served.to_bytes(), model_info("run", twin))
    await world.model(1, twin, broken=raw, since_us=now_us - 500 * PERIOD_US)
    await world.model(9, broken=bytes(4 * SIZE))  # it stays as it is
    await world.rounds.forecast([News(twin)])
    assert (world.kept[-1].watched, world.kept[-1].forecast.high - world.kept[-1].forecast.mean) == (False, 9.0)
    assert await world.rounds.review()
    assert not await world.rounds.review()  # once
    (command,) = world.written
    assert command.body == WithdrawModel(Model("m-1", TASK, personal=True), "drift")
    await world.rounds.forecast([world.reads(twin, 130.0)])
    assert world.kept[-1].watched
    assert world.kept[-1].forecast.high - world.kept[-1].forecast.mean > 20.0  # it says 36 too much
