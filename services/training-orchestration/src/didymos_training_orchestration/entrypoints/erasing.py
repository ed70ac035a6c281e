"""The loop that follows erasures of twins: identity destroys their keys, this service what it keeps of them."""

from collections.abc import Callable, Set
from math import inf
from typing import Final

from didymos_contracts.errors import Problem
from didymos_did import TwinId
from didymos_kit import log
from didymos_kit.clock import Clock
from didymos_kit.service import Stopping

from didymos_training_orchestration.application.erase_subject import erase_subject
from didymos_training_orchestration.application.ports import Objects, Units

SECONDS: Final = 2.0
LATE_SECONDS: Final = 7200.0  # a report of a run that was in flight may come so long after the erasure
AT_ONCE: Final = 100  # twins a look


class Erasing:
    """`destroyed`: twins whose keys are gone, by the tail of identity. Each is looked at again after ever longer waits,
    a dozen times in all.
    """

    def __init__(self, destroyed: Callable[[], Set[TwinId]], units: Units, objects: Objects, clock: Clock) -> None:
        self._destroyed, self._units, self._objects, self._clock = destroyed, units, objects, clock
        self._waits: dict[TwinId, tuple[float, float]] = {}  # when it is due, and how long it waits after that

    async def run(self, stopping: Stopping) -> None:
        while not await stopping.within(SECONDS):
            try:
                await self._look()
            except Problem as problem:
                if problem.row.retry != "later":
                    raise

    async def _look(self) -> None:
        now = self._clock.monotonic()
        due = [twin for twin in self._destroyed() if self._waits.get(twin, (now, SECONDS))[0] <= now]
        for twin in due[:AT_ONCE]:
            gone = await erase_subject(twin, self._units, self._objects, self._clock)
            if gone:
                log.get().info("training.models_erased", models=len(gone))
            _, wait = self._waits.get(twin, (now, SECONDS))
            self._waits[twin] = (now + wait if wait <= LATE_SECONDS else inf, 2 * wait)
