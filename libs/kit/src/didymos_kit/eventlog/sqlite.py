"""The event log in one file of one process: what `didymos up` and every test runs on. platform.md section 7."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from didymos_contracts.errors.platform import PLATFORM_OFFSET_LOST, PLATFORM_TOPIC_MISMATCH
from didymos_contracts.topics import Topic, TopicRow

from didymos_kit import log
from didymos_kit.clock import Clock, SystemClock
from didymos_kit.eventlog import sqlite_upkeep as upkeep
from didymos_kit.eventlog import tail as tails
from didymos_kit.eventlog.port import Group, Hooks, Part, Stored, Tail, Writer
from didymos_kit.eventlog.sqlite_append import SqliteWriter
from didymos_kit.eventlog.sqlite_file import TopicInfo, add_topic, locked, open_file, topics_of
from didymos_kit.eventlog.sqlite_group import Coordinator, SqliteGroup
from didymos_kit.eventlog.sqlite_reader import Reader, Wanted
from didymos_kit.eventlog.sqlite_writer import WriterThread

UPKEEP_SECONDS: Final = 60.0
SESSION_SECONDS: Final = 30.0
TAIL_RECORDS: Final = 2_000


class SqliteLog:
    """`async with SqliteLog(path) as log`. One event loop; a second process is refused (`platform.folder_locked`)."""

    def __init__(self, path: Path, *, clock: Clock | None = None, session_seconds: float = SESSION_SECONDS) -> None:
        self._path, self._clock, self._session_seconds = path, clock or SystemClock(), session_seconds
        self._topics: dict[Topic, TopicInfo] = {}
        self._ends: dict[int, int] = {}
        self._starts: dict[int, int] = {}
        self._compacted: dict[int, int] = {}
        self._groups: dict[str, Coordinator] = {}
        self._fences: dict[str, int] = {}
        self._changes: set[asyncio.Future[None]] = set()
        self._open = ExitStack()

    async def __aenter__(self) -> Self:
        self._open.enter_context(locked(self._path))
        try:
            connection = await asyncio.to_thread(open_file, self._path)
        except BaseException:
            self._open.close()
            raise
        self._loop = asyncio.get_running_loop()
        for part_id, start, following in connection.execute("select id, start, next from part"):
            self._starts[part_id], self._ends[part_id] = start, following
        self._know(topics_of(connection))
        self._writer = WriterThread(connection, self._loop, self._compacted, self._appended)
        self._reader = Reader(self._path)
        self._upkeep = asyncio.create_task(self._tidy_on())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._upkeep.cancel()
        await asyncio.wait([self._upkeep])
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._reader.close)
        self._open.close()

    async def ensure(self, topics: Sequence[TopicRow]) -> None:
        for row in topics:
            known = self._topics.get(row.name)
            if known is not None and (known.partitions, known.compact) != (row.partitions, row.cleanup == "compact"):
                raise PLATFORM_TOPIC_MISMATCH.problem(
                    topic=row.name, partitions=known.partitions, cleanup="compact" if known.compact else "delete",
                    expected_partitions=row.partitions, expected_cleanup=row.cleanup,
                )  # fmt: skip
        missing = {row.name: row for row in topics if row.name not in self._topics}
        if missing:
            self._know(await self._writer.call(lambda connection: _add(connection, missing.values())))

    @asynccontextmanager
    async def writer(self, name: str, fenced: bool = False) -> AsyncIterator[Writer]:  # noqa: FBT001, FBT002 - as the port
        epoch = self._fences.get(name, 0) + 1 if fenced else 0
        if fenced:
            self._fences[name] = epoch
        yield SqliteWriter(self, self._writer, lambda: not fenced or self._fences[name] == epoch)

    @asynccontextmanager
    async def group(self, name: str, topics: Sequence[Topic], hooks: Hooks) -> AsyncIterator[Group]:
        for topic in topics:
            self.numbers(topic)
        coordinator = self._groups.get(name)
        if coordinator is None:
            coordinator = self._groups[name] = Coordinator(name, self, self._writer, self._session_seconds)
        member = SqliteGroup(coordinator, tuple(topics), hooks, self, self._writer, self._reader)
        try:
            yield member
        finally:
            await member.close()

    @asynccontextmanager
    async def tail(self, topic: Topic, into: Callable[[Stored], None]) -> AsyncIterator[Tail]:
        source = _TailSource(self, self._reader, [Part(topic, number) for number in self.numbers(topic)])
        async with tails.running(tails.TopicTail(topic, source, into, self._clock.monotonic)) as tail:
            yield tail

    async def ends(self, topics: Sequence[Topic]) -> Mapping[Part, int]:
        parts = [Part(topic, number) for topic in topics for number in self.numbers(topic)]
        return {part: self.end(part) for part in parts}

    async def tidy(self) -> None:
        """Retention, compaction, vacuum: one whole pass, in steps that let appends between them."""
        now_ms = self._clock.now_us() // 1000
        for topic in list(self._topics.values()):
            for part_id in () if topic.compact else topic.part_ids():
                while trimmed := await self._trim(part_id, now_ms - topic.retention_ms):
                    self._starts[part_id] = trimmed.start
                    if not trimmed.more:
                        break
        while await self._writer.call(lambda connection: upkeep.compact(connection, now_ms)):
            pass
        await self._writer.call(upkeep.vacuum)

    # -- what groups, writers and tails need to know of the log (`sqlite_group.Parts`) --

    def topic(self, name: Topic) -> TopicInfo:
        """Raises `platform.topic_mismatch` for one that was never ensured."""
        known = self._topics.get(name)
        if known is None:
            raise PLATFORM_TOPIC_MISMATCH.problem(topic=name, detail="the topic does not exist; ensure it first")
        return known

    def numbers(self, topic: Topic) -> range:
        return range(self.topic(topic).partitions)

    def id_of(self, part: Part) -> int:
        return self.topic(part.topic).first_part + part.partition

    def start(self, part: Part) -> int:
        return self._starts[self.id_of(part)]

    def end(self, part: Part) -> int:
        return self._ends[self.id_of(part)]

    def notify(self) -> None:
        for waiter in self._changes:
            if not waiter.done():
                waiter.set_result(None)
        self._changes.clear()

    async def changed(self, seconds: float) -> None:
        waiter = self._loop.create_future()
        self._changes.add(waiter)
        try:
            await asyncio.wait([waiter], timeout=seconds)
        finally:
            self._changes.discard(waiter)

    def _know(self, topics: Sequence[TopicInfo]) -> None:
        for topic in topics:
            for part_id in topic.part_ids():
                self._starts.setdefault(part_id, 0)
                self._ends.setdefault(part_id, 0)
                if topic.compact:
                    self._compacted[part_id] = topic.retention_ms
            self._topics[topic.name] = topic

    def _appended(self, ends: dict[int, int]) -> None:
        self._ends.update(ends)
        self.notify()

    async def _trim(self, part_id: int, before_ms: int) -> upkeep.Trimmed | None:
        return await self._writer.call(lambda connection: upkeep.trim(connection, part_id, before_ms))

    async def _tidy_on(self) -> None:
        while True:
            await asyncio.sleep(UPKEEP_SECONDS)
            try:
                await self.tidy()
            except Exception as error:  # the log works on; the next pass tries again
                log.get().error("log.upkeep_failed", error=type(error).__name__, said=str(error)[:200])


def _add(connection: sqlite3.Connection, rows: Iterable[TopicRow]) -> list[TopicInfo]:
    """Create the topics, in one transaction."""
    added = []
    for row in rows:
        compact = row.cleanup == "compact"
        first = add_topic(connection, row.name, row.partitions, compact=compact, retention_ms=row.retention_ms)
        added.append(TopicInfo(row.name, row.partitions, compact, row.retention_ms, first))
    return added


class _TailSource:
    """`tail.TailSource` over this log."""

    def __init__(self, log: SqliteLog, reader: Reader, parts: Sequence[Part]) -> None:
        self._log, self._reader = log, reader
        self._next = {part: log.start(part) for part in parts}

    async def ends(self) -> Mapping[int, int]:
        return {part.partition: self._log.end(part) for part in self._next}

    async def read(self, timeout_seconds: float) -> Sequence[Stored]:
        wanted = self._wanted()
        if not wanted:
            await self._log.changed(timeout_seconds)
            wanted = self._wanted()
        found = await self._reader.records(wanted, TAIL_RECORDS) if wanted else []
        for part, _, following in found:
            del self._next[part]  # to the end of the line
            self._next[part] = following
        return [record for _, records, _ in found for record in records]

    async def positions(self) -> Mapping[int, int]:
        return {part.partition: following for part, following in self._next.items()}

    def _wanted(self) -> list[Wanted]:
        """Raises `platform.offset_lost` when retention overtook this reader."""
        for part, begin in self._next.items():
            if begin < self._log.start(part):
                raise PLATFORM_OFFSET_LOST.problem(topic=part.topic, partition=part.partition, offset=begin)
        return [
            Wanted(part, self._log.id_of(part), begin, self._log.end(part))
            for part, begin in self._next.items()
            if begin < self._log.end(part)
        ]
