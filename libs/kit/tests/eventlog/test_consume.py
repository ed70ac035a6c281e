"""The consume loop beyond the contract: which errors bury, how long it waits, when it commits, what it traces."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import pytest
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import (
    PLATFORM_MALFORMED,
    PLATFORM_OFFSET_LOST,
    PLATFORM_STALE,
    PLATFORM_UNAVAILABLE,
)
from didymos_contracts.topics import DEAD, Topic
from didymos_did import DidError
from didymos_kit.clock import SystemClock
from didymos_kit.eventlog import Part, Position, Stored
from didymos_kit.eventlog.consume import Consumer, consume
from didymos_kit.eventlog.dead import dead_letter, permanent_code
from didymos_kit.eventlog.lane import BACKOFF_SECONDS, full_jitter
from didymos_kit.eventlog.port import MAX_RECORD_BYTES
from didymos_kit.eventlog.records import check_sizes
from didymos_kit.eventlog.sqlite import SqliteLog
from didymos_kit.eventlog.sqlite_reader import Found, Wanted
from didymos_kit.service import Stopping
from didymos_kit.telemetry import tracing
from didymos_testing.eventlog import Hooking, a_record, a_topic, append, numbered, until
from google.protobuf.message import DecodeError

TOPIC = Topic("didymos.test.consume.v1")


class OddError(ValueError):
    code = "nobody.knows_it"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PLATFORM_MALFORMED.problem(), "platform.malformed"),
        (PLATFORM_STALE.problem(), None),
        (PLATFORM_UNAVAILABLE.problem(), None),
        (ValueError("no number"), "platform.malformed"),
        (OddError(), "platform.malformed"),
        (DecodeError("truncated"), "platform.malformed"),
        (ConnectionError(), None),
        (TimeoutError(), None),
        (KeyError("twin"), None),
    ],
)
def test_only_what_can_never_be_handled_is_buried(error: Exception, code: str | None) -> None:
    assert permanent_code(error) == code


def test_a_library_says_by_its_catalogued_code_whether_to_bury() -> None:
    assert permanent_code(DidError("grant.id_malformed", "ended")) == "grant.id_malformed"


def test_backoff_doubles_its_bound_and_stays_within_it() -> None:
    least, most = BACKOFF_SECONDS
    for attempt in range(1, 200):
        assert 0 <= full_jitter(attempt) <= min(most, least * 2**attempt)
    assert max(full_jitter(100) for _ in range(200)) > 20


def test_the_largest_record_fits_into_the_dead_letters() -> None:
    record = Stored(TOPIC, b"", b"x" * MAX_RECORD_BYTES, {}, 0, 63, 1 << 39)
    letter = dead_letter(record, "training-orchestration.deliveries", "platform.invalid_field", 1 << 41)
    check_sizes([letter])
    assert letter.topic == DEAD.name


class Watched(SqliteLog):
    """Counts how often records were taken out of it."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.reads, records = 0, self._reader.records

        async def counted(wanted: Sequence[Wanted], limit: int) -> list[Found]:
            self.reads += 1
            return await records(wanted, limit)

        self._reader.records = counted  # type: ignore[method-assign]
        return self


@asynccontextmanager
async def consuming(log: SqliteLog, consumer: Consumer) -> AsyncIterator[asyncio.Task[None]]:
    stopping = Stopping()
    task = asyncio.create_task(consume(log, consumer, SystemClock(), stopping))
    try:
        yield task
    finally:
        stopping.set()
        await asyncio.wait([task])


async def committed(log: SqliteLog, name: str) -> int:
    """What is committed of a topic with one part, by asking the file."""
    query = "select max(next) from committed where grp = ?"
    (found,) = await log._reader.run(lambda file: file.execute(query, (name,)).fetchone())
    return found or 0


async def committed_to(log: SqliteLog, name: str, offset: int) -> None:
    """Return when that is committed."""
    async with asyncio.timeout(10):
        while await committed(log, name) != offset:  # noqa: ASYNC110 - state of the file
            await asyncio.sleep(0.02)


async def test_it_commits_after_a_thousand_records_and_after_a_while(tmp_path: Path) -> None:
    topic = a_topic(partitions=1)

    async def handle(records: Sequence[Stored]) -> None:
        return

    async with SqliteLog(tmp_path / "log.db") as log:
        await log.ensure([topic, DEAD])
        await append(log, *numbered(topic.name, 999))
        async with consuming(log, Consumer("by.count", [topic.name], handle, commit_seconds=3600.0)):
            await asyncio.sleep(0.6)
            assert await committed(log, "by.count") == 0
            await append(log, a_record(topic.name))
            await committed_to(log, "by.count", 1_000)
        async with consuming(log, Consumer("by.time", [topic.name], handle, commit_seconds=0.1)):
            await committed_to(log, "by.time", 1_000)


async def test_a_slow_handler_has_few_slices_in_hand(tmp_path: Path) -> None:
    topic, go_on, sizes = a_topic(partitions=1), asyncio.Event(), list[int]()
    slices = list[Sequence[Stored]]()

    async def handle(records: Sequence[Stored]) -> None:
        slices.append(records)
        await go_on.wait()
        sizes.append(len(records))

    async with Watched(tmp_path / "log.db") as log:
        await log.ensure([topic, DEAD])
        await append(log, *numbered(topic.name, 10_000))
        async with consuming(log, Consumer("slow", [topic.name], handle)):
            await until(lambda: log.reads >= 6)
            await asyncio.sleep(0.5)
            assert log.reads == 6  # one in work, five that wait: the fifth paused the part
            assert len(slices) == 1
            go_on.set()
            await until(lambda: sum(sizes) == 10_000)


async def test_what_the_hooks_raise_ends_the_loop(tmp_path: Path) -> None:
    topic = a_topic(partitions=1)

    async def handle(records: Sequence[Stored]) -> None:
        return

    async with SqliteLog(tmp_path / "log.db") as log:
        await log.ensure([topic, DEAD])
        await append(log, *numbered(topic.name, 3))
        lost = Hooking({Part(topic.name, 0): 17})
        async with consuming(log, Consumer("lost", [topic.name], handle, lost)) as task:
            await asyncio.wait([task], timeout=10)
            with pytest.raises(ExceptionGroup) as raised:
                task.result()
    (lost_offset,) = raised.value.exceptions
    assert isinstance(lost_offset, Problem)
    assert lost_offset.row is PLATFORM_OFFSET_LOST


async def test_a_slice_with_sampled_records_is_one_span_with_links_and_others_none(tmp_path: Path) -> None:
    topic, done = a_topic(partitions=1), list[Position]()
    sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    unsampled = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00"

    async def handle(records: Sequence[Stored]) -> None:
        done.extend(record.position for record in records)

    with tracing.recorded() as spans:
        async with SqliteLog(tmp_path / "log.db") as log:
            await log.ensure([topic, DEAD])
            async with consuming(log, Consumer("traced", [topic.name], handle)):
                await append(log, a_record(topic.name, headers={"traceparent": unsampled.encode()}))
                await until(lambda: len(done) == 1)
                assert spans.all() == ()
                await append(log, *[a_record(topic.name, headers={"traceparent": sampled.encode()})] * 2)
                await until(lambda: len(done) == 3)
        found = [span for span in spans.all() if span.name == f"process {topic.name}"]
    assert [len(span.links) for span in found] == [2]
    assert f"{found[0].links[0].context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
