"""What the market hears: runs that ended are settled, an erased twin leaves its lines."""

from collections.abc import Callable, Sequence
from typing import Final

from didymos.identity.v1.identity_events_pb2 import TwinKeyDestroyed
from didymos_contracts.metrics import (
    MARKET_PAYOUTS_MINOR_TOTAL,
    MARKET_PAYOUTS_TOTAL,
    MARKET_REFUNDS_MINOR_TOTAL,
    MARKET_SETTLEMENTS_TOTAL,
)
from didymos_contracts.topics import IDENTITY, TRAINING, Topic
from didymos_did import Did, TwinId
from didymos_kit import log
from didymos_kit.clock import Clock
from didymos_kit.database.engine import Database
from didymos_kit.database.seen import first_time
from didymos_kit.database.unit_of_work import Transaction
from didymos_kit.eventlog import Stored
from didymos_kit.eventlog.consume import Consumer, consume
from didymos_kit.eventlog.envelope import event_type
from didymos_kit.eventlog.port import EventLog
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics

from didymos_marketplace.adapters.protobuf import run_completed, run_failed
from didymos_marketplace.application.ports import Settled, Work
from didymos_marketplace.application.settle_run import RunEnded, settle_run

GROUP: Final = "marketplace.settle"
TOPICS: Final[Sequence[Topic]] = (TRAINING.name, IDENTITY.name)
_RUNS: Final = {"didymos.training.v1.RunCompleted": run_completed, "didymos.training.v1.RunFailed": run_failed}
_ERASED: Final = "didymos.identity.v1.TwinKeyDestroyed"


class Hearing:
    """Idempotent: an event is handled in the transaction that notes it, and an agreement is settled once."""

    def __init__(
        self, database: Database, work_of: Callable[[Transaction], Work], clock: Clock, metrics: Metrics
    ) -> None:
        self._database, self._work_of, self._clock = database, work_of, clock
        self._payouts, self._paid = metrics.counter(MARKET_PAYOUTS_TOTAL), metrics.counter(MARKET_PAYOUTS_MINOR_TOTAL)
        self._refunded = metrics.counter(MARKET_REFUNDS_MINOR_TOTAL)
        self._settled = metrics.counter(MARKET_SETTLEMENTS_TOTAL, outcome="settled")
        self._failed = metrics.counter(MARKET_SETTLEMENTS_TOTAL, outcome="failed")
        self._metrics = metrics

    async def run(self, event_log: EventLog, stopping: Stopping) -> None:
        consumer = Consumer(GROUP, TOPICS, self.handle, on_dead=self._count_dead, metrics=self._metrics)
        await consume(event_log, consumer, self._clock, stopping)

    async def handle(self, records: Sequence[Stored]) -> None:
        """A slice of one part, in one transaction."""
        settled: list[Settled] = []
        async with self._database.unit_of_work() as tx:
            work = self._work_of(tx)
            for record in records:
                if record.value is None or not self._concerns(record):
                    continue
                if await first_time(tx.connection, record, self._clock.now()):
                    made = await self._one(record, record.value, work)
                    settled += [] if made is None else [made]
        for one in settled:
            self._count(one)

    @staticmethod
    def _concerns(record: Stored) -> bool:
        name = event_type(record.headers)
        return name in _RUNS or name == _ERASED

    async def _one(self, record: Stored, value: bytes, work: Work) -> Settled | None:
        parse = _RUNS.get(event_type(record.headers))
        if parse is None:
            await work.settlements.forget(TwinId(Did(TwinKeyDestroyed.FromString(value).twin)))
            return None
        ended: RunEnded = parse(value)
        if not ended.agreement:  # a run of the house itself: nobody pays
            return None
        return await settle_run(ended, work, self._clock)

    def _count_dead(self, _topic: Topic, code: str) -> None:
        self._failed.inc()
        log.get().warning("market.not_settled", code=code)

    def _count(self, settled: Settled) -> None:
        settlement = settled.settlement
        paid = [line.minor for line in settlement.lines if line.minor]
        self._payouts.inc(len(paid))
        self._paid.inc(sum(paid))
        self._refunded.inc(settlement.refund_minor)
        self._settled.inc()
        log.get().info(
            "market.settled", agreement=settlement.agreement, lines=len(paid), refund=settlement.refund_minor
        )
