"""Signed batches that come in at the same time: one pass verifies, judges and seals them, one append keeps them.

Each is taken or refused by itself, as `accept_batch` does it. Together they cost less: a step runs over several batches
before the next step begins, and parcels of one partition share a record. data-path.md 8.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from time import perf_counter
from typing import Any, Final, TypeAlias, TypeVar

from didymos_contracts.errors import Problem
from didymos_kit.clock import Clock
from didymos_readings import Envelope

from didymos_ingestion.application.accept_batch import (
    Admitted,
    Judged,
    Keys,
    Taken,
    accept_batch,
    admitted,
    judged,
    judged_together,
    keep_admitted,
    proved,
    require_accepted,
)
from didymos_ingestion.application.ports import Ports

PASS_BLOCKS: Final = 1_600  # of one append
SLICE_BLOCKS: Final = 80  # that a step runs over before the next
LOOP_SECONDS: Final = 0.005  # between two looks at the event loop
LARGEST_NUMBER: Final = (1 << 63) - 1  # that can be applied: a record with a larger one is put aside as a whole
T = TypeVar("T")
U = TypeVar("U")
Answer: TypeAlias = "asyncio.Future[Taken]"
Waiting: TypeAlias = list[tuple[T, Answer]]


class Together:
    """Accepts signed batches, those together that wait at the same moment. Of one event loop."""

    def __init__(self, ports: Ports, clock: Clock) -> None:
        self._ports, self._clock = ports, clock
        self._waiting: Waiting[Envelope] = []
        self._passing: asyncio.Task[None] | None = None
        self._left: set[asyncio.Task[None]] = set()

    async def accept(self, envelope: Envelope) -> Taken:
        """As `accept_batch`, and raises as it does."""
        if not 0 < envelope.header.number <= LARGEST_NUMBER:
            return await accept_batch(envelope, self._ports, self._clock)
        loop = asyncio.get_running_loop()
        answer: Answer = loop.create_future()
        self._waiting.append((envelope, answer))
        if self._passing is None:  # of nobody's context: what it does belongs to no single call
            self._passing = loop.create_task(self._passes(), context=Context())
        return await answer

    async def _passes(self) -> None:
        """Until nobody waits. A pass need not wait for the append of the one before."""
        try:
            while self._waiting:
                await self._pass(_first(self._waiting, PASS_BLOCKS))
                await asyncio.sleep(0)
        finally:
            self._passing = None

    async def _pass(self, batches: Waiting[Envelope]) -> None:
        found: Waiting[Judged] = []
        begun = perf_counter()
        while batches:
            some = _first(batches, SLICE_BLOCKS)
            try:
                found += self._judged(some)
            except Exception as error:
                for _, answer in some:
                    _fail(answer, error)
            if batches and perf_counter() - begun > LOOP_SECONDS:
                await asyncio.sleep(0)
                begun = perf_counter()
        if found:
            self._leave(self._append(found))

    def _judged(self, batches: Waiting[Envelope]) -> Waiting[Judged]:
        """Step by step over all. Who is refused hears of it; a batch whose keys must be fetched goes on by itself."""
        ports, clock = self._ports, self._clock
        at_us = clock.now_us()
        arrived = _each(lambda envelope: proved(envelope, ports, clock, at_us), batches)
        asked: list[tuple[Admitted, Keys]] = []
        answers: list[Answer] = []
        for batch, answer in _each(lambda each: admitted(each, ports, clock), arrived):
            keys = ports.keys.at_hand(batch.twins, batch.epoch)
            if keys is None:
                self._leave(_alone(batch, ports, answer))
            else:
                asked.append((batch, keys))
                answers.append(answer)
        try:
            return list(zip(judged_together(asked, ports), answers, strict=True))
        except Exception:  # of one of them: by itself each says whether it is its own
            return _each(lambda each: judged(*each, ports), list(zip(asked, answers, strict=True)))

    async def _append(self, batches: Waiting[Judged]) -> None:
        kept = [said.kept for said, _ in batches if said.kept is not None]
        try:
            tokens = iter(await self._ports.log.append_together(kept) if kept else ())
        except Exception as error:
            for _, answer in batches:
                _fail(answer, error)
            return
        for said, answer in batches:
            token = next(tokens) if said.kept is not None else ""
            if isinstance(token, Problem):
                _fail(answer, token)
            else:
                _tell(answer, said.taken(token))

    def _leave(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._left.add(task)
        task.add_done_callback(self._left.discard)


async def _alone(batch: Admitted, ports: Ports, answer: Answer) -> None:
    try:
        _tell(answer, await keep_admitted(batch, ports))
    except Exception as error:
        _fail(answer, error)


def _each(step: Callable[[T], U], batches: Waiting[T]) -> Waiting[U]:
    """The step for each that is still waited for; who fails is told, and is in the answer no more."""
    found: Waiting[U] = []
    for batch, answer in batches:
        if not answer.done():
            try:
                found.append((step(batch), answer))
            except Exception as error:
                answer.set_exception(error)
    return found


def _tell(answer: Answer, taken: Taken) -> None:
    if not answer.done():
        try:
            answer.set_result(require_accepted(taken))
        except Problem as problem:
            answer.set_exception(problem)


def _fail(answer: Answer, error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def _first(batches: Waiting[Envelope], blocks: int) -> Waiting[Envelope]:
    """The first with so many blocks together, at least one batch; they are taken out of `batches`."""
    count, upto = 0, 0
    while upto < len(batches):
        count += len(batches[upto][0].blocks)
        if upto and count > blocks:
            break
        upto += 1
    taken = batches[:upto]
    del batches[:upto]
    return taken
