"""From published to agreed, as long as the process runs: ask the witnesses, remember, announce."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from didymos_contracts.metrics import LEDGER_CHECKPOINT_AGE_SECONDS, LEDGER_UNWITNESSED_ENTRIES
from didymos_kit import log as logs
from didymos_kit.clock import Clock
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics
from didymos_provenance import TrustPolicy

from didymos_ledger.application.agree import Collected, agree
from didymos_ledger.application.newest import Newest
from didymos_ledger.application.ports import Agreed, EntryLog, Head, WitnessClient, WitnessSizes

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Quorum:
    """Whom to ask, and what is enough."""

    witnesses: Sequence[WitnessClient]
    policy: TrustPolicy


@dataclass(slots=True)
class _Late:
    """When witnesses that did not cosign in time are asked again: more and more seldom."""

    pause_seconds: float = FIRST_PAUSE_SECONDS
    at: float | None = None  # monotonic

    def due(self, now: float) -> bool:
        if self.at is not None and now < self.at:
            return False
        due, self.at = self.at is not None, now + self.pause_seconds
        self.pause_seconds = min(2 * self.pause_seconds, LONGEST_PAUSE_SECONDS)
        return due


class Agreeing:
    """A loop of the log. What it agreed on is remembered before anybody hears of it."""

    def __init__(
        self, log: EntryLog, sizes: WitnessSizes, quorum: Quorum, newest: Newest, clock: Clock, metrics: Metrics,
        announce: Callable[[Agreed], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._log, self._sizes, self._quorum, self._newest = log, sizes, quorum, newest
        self._clock, self._announce = clock, announce
        self._known: dict[str, int] = {}
        self._late = _Late()
        self._age = metrics.gauge(LEDGER_CHECKPOINT_AGE_SECONDS)
        self._unwitnessed = metrics.gauge(LEDGER_UNWITNESSED_ENTRIES)

    async def run(self, seconds: float, stopping: Stopping) -> None:
        self._known = dict(await self._sizes.sizes())
        if self._newest.agreed is not None:
            await self._announce(self._newest.agreed)
        while not await stopping.within(seconds):
            head, agreed = self._log.head(), self._newest.agreed
            self._measure(head.checkpoint.size)
            if agreed is None or head.checkpoint.size > agreed.checkpoint.size:
                self._late = _Late()
                await self._advance(head)
            elif self._late.due(self._clock.monotonic()):
                await self._complete(agreed)

    async def _advance(self, head: Head) -> None:
        collected = await self._asked(head, self._quorum.witnesses)
        if collected.agreed is None:
            logs.get().warning("ledger.no_quorum", size=head.checkpoint.size, refused=dict(collected.refused))
        else:
            await self._newest.advance(collected.agreed)
            await self._announce(collected.agreed)

    async def _complete(self, agreed: Agreed) -> None:
        """Ask those that were late: somebody may believe one of them only."""
        size = agreed.checkpoint.size
        late = [each for each in self._quorum.witnesses if self._known.get(each.name, 0) < size]
        collected = await self._asked(Head(agreed.checkpoint, agreed.note), late) if late else None
        if collected is not None and collected.agreed is not None and len(collected.refused) < len(late):
            await self._newest.advance(collected.agreed)

    async def _asked(self, head: Head, witnesses: Sequence[WitnessClient]) -> Collected:
        now = self._clock.now_us() // 1_000_000
        collected = await agree(head, witnesses, self._known, self._quorum.policy, self._log, now)
        self._known = dict(collected.sizes)
        await self._sizes.remember(self._known, collected.agreed)
        return collected

    def _measure(self, size: int) -> None:
        agreed = self._newest.agreed
        self._age.set(0 if agreed is None else self._clock.now_us() / 1e6 - agreed.at)
        self._unwitnessed.set(size - self._newest.size)
