"""The upkeep of history, beside the worker: folds parcels of the partitions in hand, deletes what is too old.

Each turn is bounded: it walks the partitions, folds what is due twin by twin, gives way between two, and deletes some
slices. Whatever fails is tried again in the next turn.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from didymos_contracts.metrics import TWIN_EXPIRED_ROWS_TOTAL, TWIN_FOLDED_PARCELS_TOTAL
from didymos_did import epoch_of
from didymos_kit import log
from didymos_kit.clock import Clock
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics
from didymos_readings import Profile

from didymos_twin_state.application.fold_history import GRACE_US, Folder, fold_twin
from didymos_twin_state.application.past_ports import Ages
from didymos_twin_state.domain.rollup import DAY_US, HOUR_US, MINUTE_US

TWINS: Final = 50  # asked for at once
FOLDS: Final = 20  # of one twin in a turn: nobody waits for a twin that sends without end
EXPIRE_SECONDS: Final = 3600.0  # age is counted in days
SLICES: Final = 20  # of deletions in a turn
SLICE: Final = 2_000  # rows of a table


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that history is kept after it came. Parcels carry the proofs; a parcel goes only once series hold it."""

    parcels: int
    series: int
    minutes: int
    hours: int

    def ages(self, now_us: int) -> Ages:
        today = epoch_of(now_us)
        days = {MINUTE_US: self.minutes, HOUR_US: self.hours, DAY_US: self.hours}
        return Ages(
            today - self.parcels, today - self.series, {step: today - kept for step, kept in days.items()}, today
        )


class Upkeep:
    """`parts`: the partitions in hand now. `run` it as a loop of the process."""

    def __init__(
        self, folder: Folder, parts: Callable[[], Collection[int]], retention: Retention,
        profiles: Mapping[str, Profile], clock: Clock, metrics: Metrics,
    ) -> None:  # fmt: skip
        self._folder, self._parts, self._retention, self._profiles = folder, parts, retention, profiles
        self._clock = clock
        self._expire_at = 0.0
        self._folded = metrics.counter(TWIN_FOLDED_PARCELS_TOTAL)
        self._expired = metrics.counter(TWIN_EXPIRED_ROWS_TOTAL)

    async def run(self, stopping: Stopping, seconds: float) -> None:
        """A turn each `seconds`, until `stopping`."""
        while not await stopping.within(seconds):
            try:
                await self.turn(stopping)
            except Exception as error:  # the database or the vault is away: what is due stays due
                log.get().warning("twin.upkeep_failed", error=type(error).__name__, said=str(error)[:200])

    async def turn(self, stopping: Stopping) -> None:
        for part in sorted(self._parts()):
            await self._fold(part, stopping)
        if self._clock.monotonic() >= self._expire_at:
            await self._expire(stopping)

    async def _fold(self, part: int, stopping: Stopping) -> None:
        after, now_us = "", self._clock.now_us()
        before_us = (now_us - GRACE_US) // HOUR_US * HOUR_US
        while not stopping:
            due = await self._folder.past.due(part, before_us, after, TWINS)
            await self._folder.seals.warm((each.twin, epoch_of(now_us)) for each in due)
            for each in due:
                for _ in range(FOLDS):
                    count = await fold_twin(each, self._profiles.get(each.profile), now_us, self._folder)
                    self._folded.inc(count)
                    await asyncio.sleep(0)
                    if not count or stopping:
                        break
            if len(due) < TWINS:
                return
            after = due[-1].twin

    async def _expire(self, stopping: Stopping) -> None:
        ages = self._retention.ages(self._clock.now_us())
        for _ in range(SLICES):
            went = await self._folder.past.expire(ages, SLICE)
            self._expired.inc(went)
            if not went:
                self._expire_at = self._clock.monotonic() + EXPIRE_SECONDS
            if not went or stopping:
                return
            await asyncio.sleep(0)
