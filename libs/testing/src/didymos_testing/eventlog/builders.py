"""What the contract tests of the event log are arranged with: topics, records, groups and members of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

from didymos_contracts.topics import HOUR_MS, Cleanup, Topic, TopicRow
from didymos_kit.eventlog import Committed, EventLog, Group, Part, Position, Record, Start, Stored

SECONDS = 30.0  # no promise needs longer, servers included


class LogContract:
    """What a binding gives: `make_log` opens a log for one test; `tidy` makes it delete now what it may."""

    @staticmethod
    def make_log() -> AbstractAsyncContextManager[EventLog]:
        raise NotImplementedError

    @staticmethod
    async def tidy(log: EventLog) -> None:
        raise NotImplementedError


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def a_topic(partitions: int = 4, cleanup: Cleanup = "delete", retention_ms: int = 24 * HOUR_MS) -> TopicRow:
    """A topic nobody else uses."""
    name = Topic(f"didymos.test.{uuid4().hex[:12]}.v1")
    return TopicRow(name, "test", "key", partitions, cleanup, retention_ms, 1 << 20, (), personal=False)


def a_group() -> str:
    return f"test.{uuid4().hex[:12]}"


def a_record(topic: Topic, key: str = "a", value: bytes | None = b"v", **changes: Any) -> Record:  # noqa: ANN401 - fields of Record
    given: dict[str, Any] = {"headers": {}, "at_ms": now_ms(), **changes}
    return Record(topic, key.encode(), value, **given)


def numbered(topic: Topic, count: int, keys: int = 8) -> list[Record]:
    """`count` records over `keys` keys; the value is the number."""
    return [a_record(topic, f"key-{number % keys}", str(number).encode()) for number in range(count)]


def values(records: Sequence[Stored]) -> list[bytes | None]:
    return [record.value for record in records]


async def append(log: EventLog, *records: Record) -> list[Position]:
    async with log.writer("test") as writer:
        return await writer.append(records)


async def until(met: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Return as soon as it holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not met():  # noqa: ASYNC110 - what is awaited has no event: state of an adapter, or of a server
            await asyncio.sleep(0.01)


class Hooking:
    """Hooks that begin each part at `starts` and keep what they were told."""

    def __init__(self, starts: Mapping[Part, Start] | Start | None = None) -> None:
        self._starts = Committed() if starts is None else starts
        self.told: list[tuple[str, frozenset[Part]]] = []

    async def assigned(self, parts: frozenset[Part]) -> Mapping[Part, Start]:
        self.told.append(("assigned", parts))
        if isinstance(self._starts, Mapping):
            return self._starts
        return dict.fromkeys(parts, self._starts)

    async def revoked(self, parts: frozenset[Part]) -> None:
        self.told.append(("revoked", parts))


async def poll_for(group: Group, count: int, seconds: float = SECONDS) -> list[Stored]:
    """Poll until that many records came. Raises TimeoutError."""
    found: list[Stored] = []
    async with asyncio.timeout(seconds):
        while len(found) < count:
            for records in (await group.poll()).values():
                found += records
    return found


async def nothing_more(group: Group) -> bool:
    """Whether two polls come back empty."""
    return not await group.poll() and not await group.poll()


async def own(group: Group, parts: int, seconds: float = SECONDS) -> None:
    """Poll a topic without records until the member owns that many parts. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while len(group.parts) != parts:
            await group.poll()


class Member:
    """A member of a group that polls by itself and commits what it saw when its parts are revoked."""

    group: Group

    def __init__(self) -> None:
        self.told: list[tuple[str, frozenset[Part]]] = []
        self.seen: list[Stored] = []
        self._following: dict[Part, int] = {}

    async def assigned(self, parts: frozenset[Part]) -> Mapping[Part, Start]:
        self.told.append(("assigned", parts))
        self._following = {}
        return {}

    async def revoked(self, parts: frozenset[Part]) -> None:
        self.told.append(("revoked", parts))
        await self.group.commit(self._following)

    @property
    def parts(self) -> frozenset[Part]:
        return self.group.parts

    async def poll_on(self) -> None:
        while True:
            for part, records in (await self.group.poll()).items():
                self.seen += records
                self._following[part] = records[-1].offset + 1


@asynccontextmanager
async def a_member(log: EventLog, name: str, *topics: Topic) -> AsyncIterator[Member]:
    """Joined and polling; on the way out it stops polling, then leaves."""
    member = Member()
    async with log.group(name, topics, member) as member.group:
        polling = asyncio.create_task(member.poll_on())
        try:
            yield member
        finally:
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling


def all_parts(*rows: TopicRow) -> frozenset[Part]:
    return frozenset(Part(row.name, number) for row in rows for number in range(row.partitions))
