"""A partition applies each record once, wherever its process dies, and starts again where it stood."""

import random
from collections.abc import Collection, Mapping

import numpy as np
import pytest
from didymos_testing.twin_state import Died, Heard, MemoryHistory, MemoryHot, Mortality, PlainSeals
from didymos_twin_state.application import apply_batch
from didymos_twin_state.application.apply_batch import Partition, ReadingRecord, WriteRecord
from didymos_twin_state.application.ports import Fenced, Held, Marks, ParcelRow, Refused, SealedBlob
from didymos_twin_state.domain.command import Command, Create, PatchDesired
from didymos_twin_state.domain.reading import Column, OpenParcel
from didymos_twin_state.domain.twin import TwinState, unpack

TWINS = tuple(f"did:key:t{n}" for n in range(4))


def a_record(offset: int, twin: str, number: int, digest: bytes | None = None, at: int | None = None) -> ReadingRecord:
    times = np.arange(3, dtype=np.int64) + (at if at is not None else number * 3)
    column = Column(
        "glucose/level",
        "mg/dL",
        times,
        times.astype(float),
        np.full(3, 90, np.uint8),
        np.zeros(3, np.uint8),
        np.arange(3),
    )
    parcel = OpenParcel(twin, f"{twin}-device", 1, number, digest or number.to_bytes(32, "big"), (column,), offset)
    return ReadingRecord(offset, (ParcelRow(parcel, 0, 1, b"s", b"sealed", int(times[0]), int(times[-1])),))


def a_write(offset: int, twin: str, body: object, proposal: int = 0) -> WriteRecord:
    command = Command(f"{offset:016d}".encode(), twin, "did:key:o", "", offset, body, proposal=proposal)  # type: ignore[arg-type]
    return WriteRecord(offset, command)


class World:
    """The stores outlive the partition; the partition dies and comes back."""

    def __init__(self) -> None:
        self.mortality = Mortality()
        self.hot, self.history = MemoryHot(self.mortality), MemoryHistory(self.mortality)
        self.seals, self.heard = PlainSeals(), Heard(self.mortality)
        self.restart()

    def restart(self) -> None:
        self.partition = Partition(3, self.hot, self.history, self.seals, self.heard)

    def twin(self, twin: str) -> TwinState:
        return unpack(self.hot.blobs[3, twin])


def a_history(seed: int) -> tuple[list[ReadingRecord], list[WriteRecord]]:
    """Readings of four twins with repeats, some below the window, and writes of two of them."""
    draw = random.Random(seed)
    numbers = dict.fromkeys(TWINS, 0)
    readings: list[ReadingRecord] = []
    for offset in range(60):
        twin = draw.choice(TWINS)
        if numbers[twin] and draw.random() < 0.2:
            readings.append(a_record(offset, twin, draw.randint(1, numbers[twin])))
            continue
        numbers[twin] += draw.choice((1, 1, 1, 300))
        readings.append(a_record(offset, twin, numbers[twin]))
    bodies = [Create("did:key:o", "glucose@1"), PatchDesired({"glucose/target": (95.0, "mg/dL", 0)})]
    writes = [a_write(offset, TWINS[offset % 2], bodies[min(1, offset // 2)]) for offset in range(10)]
    return readings, writes


async def play(world: World, draw: random.Random, readings: list[ReadingRecord], writes: list[WriteRecord]) -> None:
    """From the claim to the end: slices of both inputs as they come, flushes and checkpoints in between."""
    marks = await world.partition.claim("worker")
    left_r, left_w = readings[marks.readings :], writes[marks.writes :]
    while left_r or left_w:
        if left_r and (not left_w or draw.random() < 0.7):
            cut = draw.randint(1, 6)
            await world.partition.readings(left_r[:cut])
            left_r = left_r[cut:]
        else:
            await world.partition.writes(left_w[:2])
            left_w = left_w[2:]
        if draw.random() < 0.6:
            await world.partition.flush()
        if draw.random() < 0.2:
            await world.partition.checkpoint()
    await world.partition.checkpoint()


@pytest.mark.parametrize("seed", range(60))
async def test_kills_at_any_step_lose_nothing_and_apply_nothing_twice(seed: int) -> None:
    readings, writes = a_history(seed)
    undisturbed = World()
    await play(undisturbed, random.Random(seed), readings, writes)

    world, draw = World(), random.Random(seed)
    older = world.hot.copy()
    for _ in range(6):
        world.mortality.left = draw.randint(0, 25)
        fate = draw.random()
        if fate < 0.2:
            world.hot.flushall()
        elif fate < 0.4:  # the hot store fails over to a copy that is behind
            world.hot = older.copy()
            world.restart()
        older = world.hot.copy()
        try:
            await play(world, draw, readings, writes)
        except Died:
            world.restart()
        world.mortality.left = None
    world.restart()
    await play(world, draw, readings, writes)

    assert world.hot.at[3] == Marks(len(readings), len(writes))
    for twin in TWINS:
        if (3, twin) in undisturbed.hot.blobs:
            blob = world.hot.blobs.get((3, twin)) or (
                await world.seals.open_blob(twin, world.history.blobs[3, twin], "*")
            )
            assert blob is not None
            assert unpack(blob) == undisturbed.twin(twin)
    kept = [(row.parcel.twin, row.parcel.digest) for row in world.history.rows]
    assert sorted(kept) == sorted((row.parcel.twin, row.parcel.digest) for row in undisturbed.history.rows)
    assert len(kept) == len(set(kept))
    assert world.heard.changes() == undisturbed.heard.changes()


async def test_a_change_is_announced_after_it_can_be_read() -> None:
    world = World()
    await world.partition.claim("worker")
    await world.partition.readings([a_record(0, TWINS[0], 1)])
    world.mortality.left = 2  # the hot commit has two steps: die when the first word is said
    with pytest.raises(Died):
        await world.partition.flush()
    assert world.heard.news == []
    assert world.twin(TWINS[0]).cells["glucose/level"].value == 5.0


async def test_the_older_of_two_owners_is_fenced_in_both_stores() -> None:
    world = World()
    await world.partition.claim("old")
    old = world.partition
    world.restart()
    await world.partition.claim("new")
    await old.readings([a_record(0, TWINS[0], 1)])
    with pytest.raises(Fenced):
        await old.flush()
    assert world.hot.blobs == {}


async def test_a_second_batch_under_one_number_is_held_and_said() -> None:
    world = World()
    await world.partition.claim("worker")
    await world.partition.readings([a_record(0, TWINS[0], 1), a_record(1, TWINS[0], 1, digest=b"x" * 32)])
    await world.partition.checkpoint()
    assert [type(item) for item in world.heard.news if isinstance(item, Held)] == [Held]
    assert len(world.history.rows) == 1
    assert world.partition.counts.held == 3


async def test_a_late_batch_is_placed_once_below_the_window() -> None:
    world = World()
    await world.partition.claim("worker")
    await world.partition.readings([a_record(0, TWINS[0], 1), a_record(1, TWINS[0], 900)])
    late = a_record(2, TWINS[0], 5, at=15)
    await world.partition.readings([late, a_record(3, TWINS[0], 5, at=15)])
    await world.partition.checkpoint()
    await world.partition.readings([a_record(4, TWINS[0], 5, at=15)])
    assert (world.partition.counts.applied, world.partition.counts.duplicate) == (9, 6)


async def test_a_refused_proposal_is_answered_and_a_refused_request_is_not() -> None:
    world = World()
    await world.partition.claim("worker")
    wish = PatchDesired({"glucose/target": (95.0, "mg/dL", 0)})
    await world.partition.writes([a_write(0, TWINS[0], wish), a_write(1, TWINS[0], wish, proposal=4)])
    await world.partition.flush()
    refused = [item for item in world.heard.news if isinstance(item, Refused)]
    assert [item.offset for item in refused] == [1]
    assert world.hot.results[3, f"{0:016d}".encode()] == b"UNKNOWN"


async def test_an_erased_twin_leaves_no_snapshot() -> None:
    world = World()
    await world.partition.claim("worker")
    world.seals.destroyed.add(TWINS[0])
    await world.partition.readings([a_record(0, TWINS[0], 1)])
    await world.partition.checkpoint()
    assert (3, TWINS[0]) not in world.history.blobs


async def test_a_hot_store_that_fell_behind_the_checkpoint_is_not_believed() -> None:
    world = World()
    await world.partition.claim("worker")
    await world.partition.readings([a_record(0, TWINS[0], 1)])
    await world.partition.flush()
    older = world.hot.copy()
    await world.partition.readings([a_record(1, TWINS[0], 2)])
    await world.partition.checkpoint()
    world.hot = older
    world.restart()
    assert await world.partition.claim("worker") == Marks(2, 0)
    await world.partition.flush()
    assert (3, TWINS[0]) not in world.hot.blobs
    assert world.hot.at[3] == Marks(2, 0)


async def test_a_record_delivered_again_is_skipped() -> None:
    world = World()
    await world.partition.claim("worker")
    await world.partition.readings([a_record(0, TWINS[0], 1)])
    await world.partition.readings([a_record(0, TWINS[0], 1)])
    assert (world.partition.counts.applied, world.partition.counts.duplicate) == (3, 0)


class AskedHistory(MemoryHistory):
    """Says which twins were loaded."""

    def __init__(self, mortality: Mortality) -> None:
        super().__init__(mortality)
        self.loaded: list[str] = []

    async def snapshots(self, part: int, twins: Collection[str]) -> Mapping[str, SealedBlob]:
        self.loaded.extend(twins)
        return await super().snapshots(part, twins)


async def test_of_more_twins_than_memory_holds_those_that_changed_last_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply_batch, "MEMORY_TWINS", 2)
    world = World()
    world.history = history = AskedHistory(world.mortality)
    world.restart()
    await world.partition.claim("worker")
    for offset, twin in enumerate((TWINS[0], TWINS[1], TWINS[2], TWINS[0])):
        await world.partition.readings([a_record(offset, twin, offset + 1)])
    await world.partition.checkpoint()
    history.loaded.clear()
    await world.partition.readings([a_record(4 + at, twin, 9) for at, twin in enumerate(TWINS[:3])])
    assert history.loaded == [TWINS[1]]
    await world.partition.readings([a_record(7, TWINS[1], 2)])
    assert (world.partition.counts.applied, world.partition.counts.duplicate) == (21, 3)
