"""One part in work: its slices in order, held by errors that pass, halved around records that never can be handled."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from didymos_kit import log
from didymos_kit.eventlog.port import Part, Stored

BACKOFF_SECONDS: Final = (0.1, 30.0)

Handle: TypeAlias = Callable[[Sequence[Stored]], Awaitable[None]]


def full_jitter(attempt: int) -> float:
    """Seconds before attempt 1, 2, ...: uniform up to a doubling bound, so parts that failed together return apart."""
    least, most = BACKOFF_SECONDS
    return random.uniform(0, min(most, least * 2 ** min(attempt, 16)))


@dataclass(frozen=True, slots=True)
class Rules:
    """How a lane works. `bury` stores a dead letter; `changed` is told when the lane is held, freed or shorter."""

    handle: Handle
    permanent: Callable[[Exception], str | None]
    bury: Callable[[Stored, str], Awaitable[None]]
    backoff: Callable[[int], float]
    changed: Callable[["Lane"], None]


class Lane:
    """`run` it as a task; `put` slices; `stop` it before the part is given up."""

    def __init__(self, part: Part, rules: Rules) -> None:
        self.part = part
        self.following: int | None = None  # the offset after the last record done
        self.done = 0  # records
        self.held = False
        self._rules = rules
        self._slices: deque[Sequence[Stored]] = deque()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()

    def __len__(self) -> int:
        """Slices that wait."""
        return len(self._slices)

    def put(self, records: Sequence[Stored]) -> None:
        self._slices.append(records)
        self._wake.set()

    async def stop(self) -> None:
        """Return when the slice in hand is done, or given up if it waits to be tried again; later ones never start."""
        self._stopping.set()
        self._wake.set()
        await self._ended.wait()

    async def run(self) -> None:
        try:
            while not self._stopping.is_set():
                if not self._slices:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                records = self._slices.popleft()
                self._rules.changed(self)
                await self._work(records)
        finally:
            self._ended.set()

    async def _work(self, records: Sequence[Stored]) -> None:
        """Handle all of them. A handler that raises has done nothing: slices are all or nothing."""
        code: list[str] = []

        async def attempt() -> None:
            try:
                await self._rules.handle(records)
            except Exception as error:
                refused = self._rules.permanent(error)
                if refused is None:
                    raise
                code.append(refused)

        if not await self._until_done(attempt):
            return
        if code and len(records) > 1:
            middle = len(records) // 2
            await self._work(records[:middle])
            await self._work(records[middle:])
            return
        if code and not await self._until_done(lambda: self._rules.bury(records[0], code[0])):
            return
        self.following = records[-1].offset + 1
        self.done += len(records)

    async def _until_done(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Try for as long as it takes; False if the lane was stopped before it worked."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                await step()
            except Exception as error:
                attempt += 1
                self._say_held(error, attempt)
                await self._pause(self._rules.backoff(attempt))
            else:
                self._hold(held=False)
                return True
        self._hold(held=False)
        return False

    def _say_held(self, error: Exception, attempt: int) -> None:
        log.get().warning(
            "log.part_held", topic=self.part.topic, partition=self.part.partition, attempt=attempt,
            error=type(error).__name__, said=str(error)[:200],
        )  # fmt: skip
        self._hold(held=True)

    def _hold(self, *, held: bool) -> None:
        if self.held != held:
            self.held = held
            self._rules.changed(self)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
