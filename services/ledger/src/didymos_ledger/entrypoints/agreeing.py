"""From published to agreed, as long as the process runs: ask the witnesses, remember, announce."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from didymos_contracts.metrics import LEDGER_CHECKPOINT_AGE_SECONDS, LEDGER_UNWITNESSED_ENTRIES
from didymos_kit import log as logs
from didymos_kit.clock import Clock
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics
from didymos_provenance import TrustPolicy

from didymos_ledger.application.agree import agree
from didymos_ledger.application.newest import Newest
from didymos_ledger.application.ports import Agreed, EntryLog, WitnessClient, WitnessSizes


@dataclass(frozen=True, slots=True)
class Quorum:
    """Whom to ask, and what is enough."""

    witnesses: Sequence[WitnessClient]
    policy: TrustPolicy


class Agreeing:
    """A loop of the log. What it agreed on is remembered before anybody hears of it."""

    def __init__(
        self, log: EntryLog, sizes: WitnessSizes, quorum: Quorum, newest: Newest, clock: Clock, metrics: Metrics,
        announce: Callable[[Agreed], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._log, self._sizes, self._quorum, self._newest = log, sizes, quorum, newest
        self._clock, self._announce = clock, announce
        self._age = metrics.gauge(LEDGER_CHECKPOINT_AGE_SECONDS)
        self._unwitnessed = metrics.gauge(LEDGER_UNWITNESSED_ENTRIES)

    async def run(self, seconds: float, stopping: Stopping) -> None:
        known = dict(await self._sizes.sizes())
        if self._newest.agreed is not None:
            await self._announce(self._newest.agreed)
        while not await stopping.within(seconds):
            head = self._log.head()
            self._measure(head.checkpoint.size)
            if head.checkpoint.size <= self._newest.size:
                continue
            now = self._clock.now_us() // 1_000_000
            collected = await agree(head, self._quorum.witnesses, known, self._quorum.policy, self._log, now)
            known = dict(collected.sizes)
            await self._sizes.remember(known, collected.agreed)
            if collected.agreed is None:
                logs.get().warning("ledger.no_quorum", size=head.checkpoint.size, refused=dict(collected.refused))
                continue
            await self._newest.advance(collected.agreed)
            await self._announce(collected.agreed)

    def _measure(self, size: int) -> None:
        agreed = self._newest.agreed
        self._age.set(0 if agreed is None else self._clock.now_us() / 1e6 - agreed.at)
        self._unwitnessed.set(size - self._newest.size)
