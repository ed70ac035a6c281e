"""Whatever the log does, what was acknowledged is in it, and a repeat is known as one."""

import asyncio
from collections import Counter
from contextlib import suppress

from didymos_contracts.errors import Problem
from didymos_did import TwinId
from didymos_ingestion.application.accept_batch import Taken, accept_batch
from didymos_readings import Envelope
from didymos_testing.did import a_signer
from didymos_testing.ingestion import AnEnrolment, IntakeWorld, a_signed_batch, opened
from didymos_testing.readings import a_column
from hypothesis import given, settings
from hypothesis import strategies as st

TWINS = [TwinId(a_signer(f"twin {number}").did) for number in range(6)]
VALUES = st.lists(st.sampled_from([100.0, 101.0, 1e6, float("nan")]), min_size=1, max_size=4)
BATCHES = st.lists(st.lists(st.tuples(st.sampled_from(TWINS), VALUES), min_size=1, max_size=6), min_size=1, max_size=4)
BREAKS = st.lists(st.none() | st.integers(0, 4), max_size=8)


async def until_acknowledged(world: IntakeWorld, batch: Envelope, breaks: list[int | None]) -> Taken | Problem:
    """As a device does: the same bytes again, until there is an answer that is no `later`."""
    while True:
        world.writer.breaks_after = breaks.pop() if breaks else None
        try:
            return await accept_batch(batch, world.ports, world.clock)
        except Problem as problem:
            if problem.row.retry != "later":
                return problem


@given(BATCHES, BREAKS)
@settings(max_examples=60, deadline=None)
def test_each_reading_is_accepted_or_listed_and_each_accepted_one_is_in_the_log_once(
    drawn: list[list[tuple[TwinId, list[float]]]], breaks: list[int | None]
) -> None:
    world = IntakeWorld().enrol(*[AnEnrolment(twin=twin) for twin in TWINS])
    batches = [
        a_signed_batch(*[a_column(values, twin=twin, period_s=1) for twin, values in blocks], number=number)
        for number, blocks in enumerate(drawn, start=1)
    ]
    answers = [asyncio.run(until_acknowledged(world, batch, breaks)) for batch in batches]
    kept = {
        (parcel.digest, parcel.twin): opened(parcel) for event in world.writer.accepted() for parcel in event.parcels
    }  # a repeat has the same digest: twin-state applies it once
    for batch, blocks, answer in zip(batches, drawn, answers, strict=True):
        total = sum(len(values) for _, values in blocks)
        stored = Counter(
            (twin, float(value))
            for (digest, twin), parcel in kept.items()
            if digest == batch.digest
            for column in parcel.columns
            for value in column.value
        )
        good = Counter((twin, value) for twin, values in blocks for value in values if value < 1e6)
        assert stored == good
        if isinstance(answer, Taken):
            assert answer.accepted == good.total() > 0
            assert answer.accepted + sum(each.count for each in answer.refused) == total
        else:
            assert not good


def test_what_was_not_acknowledged_may_be_in_the_log_under_the_same_digest() -> None:
    world = IntakeWorld().enrol(*[AnEnrolment(twin=twin) for twin in TWINS])
    batch = a_signed_batch(*[a_column([100.0], twin=twin) for twin in TWINS])
    world.writer.breaks_after = 1
    with suppress(Problem):
        asyncio.run(accept_batch(batch, world.ports, world.clock))
    world.writer.breaks_after = None
    asyncio.run(accept_batch(batch, world.ports, world.clock))
    ids = Counter(record.headers["ce_id"] for record in world.writer.records)
    assert sorted(ids.values())[-1] == 2
    assert {parcel.digest for event in world.writer.accepted() for parcel in event.parcels} == {batch.digest}
