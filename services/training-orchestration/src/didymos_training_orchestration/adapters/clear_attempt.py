"""One attempt in clear: the sum of each site, checked, journalled, handed on. learning.md sections 5 and 13."""

import asyncio
from collections.abc import AsyncIterator
from math import isfinite

import numpy as np
from didymos_contracts.errors import Problem
from didymos_contracts.errors.training import (
    TRAINING_LAYOUT_MISMATCHED,
    TRAINING_NORM_EXCEEDED,
    TRAINING_UPDATE_NOT_FINITE,
)
from didymos_did import Did
from didymos_kit import log
from didymos_learning import Flat, LearningError, RunSpec, Total, flat_view, norm
from didymos_privacy import Refuse

from didymos_training_orchestration.adapters.attendance import Inbox
from didymos_training_orchestration.adapters.journal import AttemptName, Entry
from didymos_training_orchestration.adapters.masked_attempt import Desk
from didymos_training_orchestration.adapters.signals import Clear, Signal, parse_signal
from didymos_training_orchestration.application.results import Lost, Order, Part, Result

ROUNDING = 1.001  # of a norm that was summed in float32


class ClearAttempt:
    def __init__(self, order: Order, desk: Desk, training_seconds: float) -> None:
        self._order, self._desk, self._seconds = order, desk, training_seconds
        self._name = AttemptName(order.run, order.round, order.attempt)

    async def results(self, inbox: Inbox) -> AsyncIterator[Result]:
        waiting = set(self._order.cohort.names)
        entries = await self._desk.journal.entries(self._name)
        for entry in entries:
            if entry.site is not None:
                waiting.discard(entry.site)
                yield await self._part(parse_signal(entry.signal, entry.site))
        for site in sorted(waiting):
            self._desk.attendance.tell(site, self._order.run, self._desk.book.open(self._order, site))
        if entries:
            await self._desk.attendance.gathered(waiting, self._desk.patience.return_seconds)
        loop = asyncio.get_running_loop()
        until = loop.time() + self._seconds
        while waiting:
            left = until - loop.time()
            signal = await inbox.take(left) if left > 0 else None
            if signal is None:
                break
            if signal.site not in waiting or not isinstance(signal.said, Clear | Refuse):
                continue  # a repeat is answered as before: by nothing
            waiting.discard(signal.site)
            result = await self._part(signal)
            if isinstance(result, Part):
                await self._desk.journal.add(self._name, Entry(signal.site, signal.step, signal.raw))
            yield result
        for site in sorted(waiting):
            yield Lost(site, "deadline")

    async def _part(self, signal: Signal) -> Result:
        if not isinstance(signal.said, Clear):
            code = signal.said.code if isinstance(signal.said, Refuse) else "deadline"
            return Lost(signal.site, code)
        vector = await self._desk.objects.get(signal.said.vector)
        member = self._order.cohort.member(signal.site)
        size = 0 if member is None else member.size
        try:
            return Part(signal.site, checked(signal.said, vector, size, self._order.spec))
        except (Problem, LearningError) as error:
            return Lost(signal.site, _refused(signal.site, self._order, error))


def checked(said: Clear, vector: bytes | None, subjects: int, spec: RunSpec) -> Total:
    """The sum of one site. Raises `training.layout_mismatched`, `.update_not_finite`, `.norm_exceeded`."""
    flat: Flat = flat_view(vector or b"", spec.model.layout.size)
    if not (isfinite(said.weight) and np.isfinite(flat).all()):
        raise TRAINING_UPDATE_NOT_FINITE.problem()
    if not 1 <= said.count <= subjects or not 0.0 < said.weight <= said.count * spec.cohort.max_weight:
        raise TRAINING_LAYOUT_MISMATCHED.problem(count=said.count, weight=said.weight, subjects=subjects)
    if spec.local.clip is not None and norm(flat) > spec.local.clip * said.weight * ROUNDING:
        raise TRAINING_NORM_EXCEEDED.problem(bound=spec.local.clip * said.weight)
    return Total(flat.astype(np.float64), said.weight, said.count)


def _refused(site: Did, order: Order, error: Problem | LearningError) -> str:
    code = error.row.code if isinstance(error, Problem) else error.code
    log.get().warning("training.update_refused", run=order.run, round=order.round, site=site, code=code)
    return code
