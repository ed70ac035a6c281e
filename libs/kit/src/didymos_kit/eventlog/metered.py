"""The event log, counted: what is appended and how long that takes, how far groups and tails are behind.

Around either adapter, so what it says is what a client saw; nothing else of the log is changed.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic, perf_counter
from typing import Final

from didymos_contracts.errors import Problem
from didymos_contracts.metrics import (
    GROUPS,
    LOG_APPEND_SECONDS,
    LOG_APPENDED_TOTAL,
    LOG_LAG_RECORDS,
    TAIL_STALENESS_SECONDS,
)
from didymos_contracts.topics import TOPICS, Topic, TopicRow

from didymos_kit.eventlog.port import (
    POLL_RECORDS,
    POLL_SECONDS,
    EventLog,
    Group,
    Hooks,
    Part,
    Position,
    Record,
    Stored,
    Tail,
    Writer,
)
from didymos_kit.telemetry.metrics import Metrics

LAG_SECONDS: Final = 5.0  # between two questions of a member for its lag
NAMES: Final = frozenset(row.name for row in TOPICS)


def group_label(name: str) -> str:
    """The label of a group: its name, or `other` for one that the registry does not list yet."""
    return name if name in GROUPS else "other"


class MeteredLog:
    """`EventLog` around `inner`. Topics outside of the catalogue, which only tests have, are not counted."""

    def __init__(self, inner: EventLog, metrics: Metrics) -> None:
        self._inner, self._metrics = inner, metrics
        self._counted: dict[Topic, Callable[[float], None]] = {
            name: metrics.counter(LOG_APPENDED_TOTAL, topic=name).inc for name in NAMES
        }
        self._seconds = metrics.histogram(LOG_APPEND_SECONDS)

    async def ensure(self, topics: Sequence[TopicRow]) -> None:
        await self._inner.ensure(topics)

    @asynccontextmanager
    async def writer(self, name: str, fenced: bool = False) -> AsyncIterator[Writer]:  # noqa: FBT001, FBT002 - as the port
        async with self._inner.writer(name, fenced) as writer:
            yield _Writer(writer, self._counted, self._seconds.observe)

    @asynccontextmanager
    async def group(self, name: str, topics: Sequence[Topic], hooks: Hooks) -> AsyncIterator[Group]:
        lag = self._metrics.gauge(LOG_LAG_RECORDS, group=group_label(name))
        lag.set(0)
        try:
            async with self._inner.group(name, topics, hooks) as group:
                yield _Group(group, lag.set)
        finally:
            lag.set(0)

    @asynccontextmanager
    async def tail(self, topic: Topic, into: Callable[[Stored], None]) -> AsyncIterator[Tail]:
        async with self._inner.tail(topic, into) as tail:
            if topic in NAMES:
                self._metrics.watch(TAIL_STALENESS_SECONDS, tail.staleness, topic=topic)
            yield tail

    async def ends(self, topics: Sequence[Topic]) -> Mapping[Part, int]:
        return await self._inner.ends(topics)


class _Writer:
    def __init__(
        self, inner: Writer, counted: Mapping[Topic, Callable[[float], None]], took: Callable[[float], None]
    ) -> None:
        self._inner, self._counted, self._took = inner, counted, took

    async def append(self, records: Sequence[Record]) -> list[Position]:
        begun = perf_counter()
        positions = await self._inner.append(records)
        self._took(perf_counter() - begun)
        for record in records:
            count = self._counted.get(record.topic)
            if count is not None:
                count(1)
        return positions


class _Group:
    """Asks for its own lag now and then, in `poll`: that is called for as long as the member lives."""

    def __init__(self, inner: Group, told: Callable[[float], None]) -> None:
        self._inner, self._told = inner, told
        self._asked_at = monotonic()

    @property
    def parts(self) -> frozenset[Part]:
        return self._inner.parts

    @property
    def generation(self) -> int:
        return self._inner.generation

    async def poll(
        self, max_records: int = POLL_RECORDS, timeout_seconds: float = POLL_SECONDS
    ) -> Mapping[Part, Sequence[Stored]]:
        polled = await self._inner.poll(max_records, timeout_seconds)
        if monotonic() - self._asked_at >= LAG_SECONDS:
            await self._measure()
        return polled

    def seek(self, offsets: Mapping[Part, int]) -> None:
        self._inner.seek(offsets)

    def pause(self, parts: Iterable[Part]) -> None:
        self._inner.pause(parts)

    def resume(self, parts: Iterable[Part]) -> None:
        self._inner.resume(parts)

    async def commit(self, offsets: Mapping[Part, int]) -> None:
        await self._inner.commit(offsets)

    async def lag(self) -> Mapping[Part, int]:
        return await self._inner.lag()

    async def _measure(self) -> None:
        """While the log is away the gauge stands: who polls hears of it."""
        self._asked_at = monotonic()
        try:
            self._told(sum((await self._inner.lag()).values()))
        except Problem as problem:
            if problem.row.retry != "later":
                raise
