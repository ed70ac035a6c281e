"""A whole topic in memory: apply every record, know how stale that is, wait for a position. platform.md section 7.

Adapters give a `TailSource`; what a tail promises is here, once.
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol, TypeVar

from didymos_contracts.errors import Problem
from didymos_contracts.topics import Topic

from didymos_kit import log
from didymos_kit.eventlog.port import Position, Stored, TailHaltedError

T = TypeVar("T")
ENDS_SECONDS: Final = 1.0
READ_SECONDS: Final = 0.2
RETRY_SECONDS: Final = 0.2
CPU_SECONDS: Final = 0.02  # between two looks at the loop: heartbeats and requests share it


class TailSource(Protocol):
    """How an adapter reads one topic, all parts of it. Raises a problem that says `later` while the log is away."""

    async def ends(self) -> Mapping[int, int]:
        """By partition: the offset after the last record that readers may see."""

    async def read(self, timeout_seconds: float) -> Sequence[Stored]:
        """The next records, in order per partition; empty after the timeout."""

    async def positions(self) -> Mapping[int, int]:
        """By partition: the offset of the next `read`; all before it was returned, or is no record."""


class TopicTail:
    """The `Tail` of the port."""

    def __init__(
        self, topic: Topic, source: TailSource, into: Callable[[Stored], None], monotonic: Callable[[], float]
    ) -> None:
        self._topic, self._source, self._into, self._monotonic = topic, source, into, monotonic
        self._applied: Mapping[int, int] = {}
        self._unmet: deque[tuple[float, Mapping[int, int]]] = deque()  # (asked at, ends), oldest first
        self._fresh_at: float | None = None
        self._halted: BaseException | None = None
        self._waiting: list[tuple[asyncio.Future[None], Callable[[], bool]]] = []

    @property
    def caught_up(self) -> bool:
        return self._fresh_at is not None

    def staleness(self) -> float:
        return math.inf if self._fresh_at is None else max(0.0, self._monotonic() - self._fresh_at)

    async def ready(self) -> None:
        await self._until(lambda: self.caught_up)

    async def wait(self, positions: Iterable[Position]) -> None:
        """Raises ValueError for a position of another topic."""
        needed: dict[int, int] = {}
        for position in positions:
            if position.topic != self._topic:
                raise ValueError(f"{position} is of {position.topic}, the tail of {self._topic}")
            needed[position.partition] = max(needed.get(position.partition, -1), position.offset)
        await self._until(lambda: all(self._applied.get(part, 0) > offset for part, offset in needed.items()))

    async def run(self) -> None:
        """Read and measure until cancelled, or until a record cannot be applied."""
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._read_on())
                both.create_task(self._measure_on())
        except* Exception as halted:
            self._halt(halted.exceptions[0])

    async def _read_on(self) -> None:
        while True:
            records = await _patiently(lambda: self._source.read(READ_SECONDS))
            begun = time.perf_counter()
            for record in records:
                self._into(record)
                if time.perf_counter() - begun > CPU_SECONDS:
                    await asyncio.sleep(0)
                    begun = time.perf_counter()
            self._applied = dict(await self._source.positions())
            self._look()

    async def _measure_on(self) -> None:
        while True:
            asked_at = self._monotonic()
            ends = await _patiently(self._source.ends)
            self._unmet.append((asked_at, ends))
            self._look()
            await asyncio.sleep(ENDS_SECONDS)

    def _look(self) -> None:
        """Note what is met by what was applied, and wake who waited for it."""
        while self._unmet and all(self._applied.get(part, 0) >= end for part, end in self._unmet[0][1].items()):
            self._fresh_at = self._unmet.popleft()[0]
        for waiter, met in self._waiting:
            if not waiter.done() and met():
                waiter.set_result(None)

    async def _until(self, met: Callable[[], bool]) -> None:
        if met():
            return
        if self._halted is not None:
            raise TailHaltedError(self._topic) from self._halted
        waiter = asyncio.get_running_loop().create_future()
        entry = (waiter, met)
        self._waiting.append(entry)
        try:
            await waiter
        finally:
            self._waiting.remove(entry)

    def _halt(self, error: BaseException) -> None:
        self._halted = error
        log.get().error("log.tail_halted", topic=self._topic, error=type(error).__name__, said=str(error)[:200])
        for waiter, _ in self._waiting:
            if not waiter.done():
                refused = TailHaltedError(self._topic)
                refused.__cause__ = error
                waiter.set_exception(refused)


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Its answer, asked again for as long as the log is away: meanwhile staleness grows, which is the signal."""
    while True:
        try:
            return await ask()
        except Problem as problem:
            if problem.row.retry != "later":
                raise
        await asyncio.sleep(RETRY_SECONDS)


@asynccontextmanager
async def running(tail: TopicTail) -> AsyncIterator[TopicTail]:
    """Run it for as long as the block."""
    task = asyncio.create_task(tail.run())
    try:
        yield tail
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
