"""Batches that come in at the same time: each is answered as if it were alone, and they share records."""

import asyncio
from dataclasses import dataclass
from itertools import count

import pytest
from didymos_contracts.errors import Problem
from didymos_contracts.topics import READINGS
from didymos_did import TwinId
from didymos_ingestion.application.accept_batch import Taken, accept_batch
from didymos_ingestion.application.accept_together import LARGEST_NUMBER, PASS_BLOCKS, Together
from didymos_kit.eventlog.partition import partition_of
from didymos_readings import Envelope
from didymos_testing.did import a_signer
from didymos_testing.ingestion import (
    OTHER_DEVICE,
    TWIN,
    AnEnrolment,
    IntakeWorld,
    MemoryLifecycles,
    a_signed_batch,
    opened,
)
from didymos_testing.readings import a_column

TWINS = [TwinId(a_signer(f"twin {number}").did) for number in range(6)]
PART = partition_of(TWIN.encode(), READINGS.partitions)


async def all_at_once(world: IntakeWorld, *batches: Envelope) -> list[Taken | Problem]:
    together = Together(world.ports, world.clock)
    said = await asyncio.gather(*(together.accept(batch) for batch in batches), return_exceptions=True)
    assert all(isinstance(each, Taken | Problem) for each in said)
    return [each for each in said if isinstance(each, Taken | Problem)]


def a_pack(number: int, *values: float, twin: TwinId = TWIN) -> Envelope:
    return a_signed_batch(a_column(list(values), twin=twin), number=number)


async def test_batches_of_one_partition_share_a_record_and_each_names_it() -> None:
    world = IntakeWorld()
    found = await all_at_once(world, a_pack(1, 100.0), a_pack(2, 101.0, 102.0), a_pack(3, 103.0))
    assert [(each.accepted, each.token) for each in found if isinstance(each, Taken)] == [
        (1, f"{PART}:0"), (2, f"{PART}:0"), (1, f"{PART}:0"),
    ]  # fmt: skip
    (event,) = world.writer.accepted()
    assert [parcel.number for parcel in event.parcels] == [1, 2, 3]
    values = [column.value.tolist() for parcel in event.parcels for column in opened(parcel).columns]
    assert values == [[100.0], [101.0, 102.0], [103.0]]


async def test_what_is_kept_of_each_is_what_would_be_kept_of_it_alone() -> None:
    batches = [a_signed_batch(*[a_column([n, 1e6], twin=twin) for twin in TWINS], number=n) for n in range(90, 95)]
    alone, together = (IntakeWorld().enrol(*[AnEnrolment(twin=twin) for twin in TWINS]) for _ in range(2))
    singly = [await accept_batch(batch, alone.ports, alone.clock) for batch in batches]
    found = await all_at_once(together, *batches)
    for one, other in zip(singly, found, strict=True):
        assert isinstance(other, Taken)
        assert (one.digest, one.accepted, list(one.refused)) == (other.digest, other.accepted, list(other.refused))
        assert {part.partition(":")[0] for part in one.token.split(",")} == {
            part.partition(":")[0] for part in other.token.split(",")
        }

    def kept(world: IntakeWorld) -> list[tuple[bytes, str, object]]:
        return sorted(
            (parcel.digest, parcel.twin, str(opened(parcel)))
            for event in world.writer.accepted()
            for parcel in event.parcels
        )

    assert kept(alone) == kept(together)
    assert len(together.writer.accepted()) < len(alone.writer.accepted())
    assert len(together.writer.quarantined()) == len(alone.writer.quarantined())


async def test_who_is_refused_alone_is_refused_in_company_and_harms_nobody() -> None:
    world = IntakeWorld()
    forged = a_pack(2, 101.0)._replace(signature=bytes(64))
    stranger = a_signed_batch(a_column([1.0], twin=TWIN), device=OTHER_DEVICE)
    nothing = a_pack(4, 1e6)
    first, second, third, fourth = await all_at_once(world, a_pack(1, 100.0), forged, stranger, nothing)
    assert isinstance(first, Taken)
    assert [each.row.code for each in (second, third, fourth) if isinstance(each, Problem)] == [
        "batch.signature_invalid", "batch.device_unknown", "reading.out_of_bounds",
    ]  # fmt: skip
    assert len(world.writer.quarantined()) == 1


@pytest.mark.parametrize("number", [0, LARGEST_NUMBER + 1])
async def test_a_number_that_tells_no_order_or_cannot_be_applied_has_a_record_of_its_own(number: int) -> None:
    world = IntakeWorld()
    await all_at_once(world, a_pack(number, 100.0), a_pack(1, 101.0), a_pack(2, 102.0))
    assert sorted(len(event.parcels) for event in world.writer.accepted()) == [1, 2]


async def test_nobody_is_acknowledged_that_the_log_does_not_hold() -> None:
    world = IntakeWorld()
    world.writer.full = True
    found = await all_at_once(world, a_pack(1, 100.0), a_pack(2, 101.0))
    assert [each.row.code for each in found if isinstance(each, Problem)] == ["platform.unavailable"] * 2
    world.writer.full = False
    assert all(isinstance(each, Taken) for each in await all_at_once(world, a_pack(1, 100.0), a_pack(2, 101.0)))


async def test_a_batch_whose_key_must_be_fetched_holds_up_no_other() -> None:
    world = IntakeWorld()
    world.keys.away = True
    found = await all_at_once(world, a_pack(1, 100.0))
    assert [each.row.code for each in found if isinstance(each, Problem)] == ["platform.unavailable"]


async def test_more_than_one_pass_holds_goes_into_several_appends() -> None:
    world = IntakeWorld().enrol(*[AnEnrolment(twin=twin, max_rate=1 << 20) for twin in TWINS])
    numbers = count(1)
    size = PASS_BLOCKS // 2 + 1
    batches = [
        a_signed_batch(*[a_column([100.0], twin=TWINS[0], period_s=1) for _ in range(size)], number=next(numbers))
        for _ in range(3)
    ]
    found = await all_at_once(world, *batches)
    assert [isinstance(each, Taken) for each in found] == [True] * 3
    assert [len(event.parcels) for event in world.writer.accepted()] == [1, 1, 1]


async def test_a_sender_that_left_is_not_waited_for() -> None:
    world = IntakeWorld()
    together = Together(world.ports, world.clock)
    gone = asyncio.create_task(together.accept(a_pack(1, 100.0)))
    stays = asyncio.create_task(together.accept(a_pack(2, 101.0)))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await stays).accepted == 1


@dataclass
class Torn(MemoryLifecycles):
    """Cannot say what state one twin is in."""

    def takes_readings(self, twin: TwinId) -> bool:
        if twin == TWINS[1]:
            raise RuntimeError("torn")
        return super().takes_readings(twin)


async def test_a_batch_that_breaks_a_step_for_all_is_the_only_one_that_fails() -> None:
    world = IntakeWorld(lifecycles=Torn()).enrol(*[AnEnrolment(twin=twin) for twin in TWINS])
    together = Together(world.ports, world.clock)
    batches = [a_pack(at + 1, 100.0, twin=twin) for at, twin in enumerate(TWINS[:3])]
    found = await asyncio.gather(*(together.accept(batch) for batch in batches), return_exceptions=True)
    assert [type(each) for each in found] == [Taken, RuntimeError, Taken]
