"""Fills the list of refusals from the quarantine, and empties it of twins that were erased."""

from collections.abc import Sequence
from typing import Final

from didymos_contracts.topics import QUARANTINE, TWIN_LIFECYCLE
from didymos_kit.clock import Clock
from didymos_kit.eventlog import EventLog, Stored
from didymos_kit.eventlog.consume import Consumer, consume
from didymos_kit.service import Loop, Stopping
from didymos_kit.telemetry.metrics import Metrics

from didymos_ingestion.adapters.protobuf import erased_twin, kept_refusals
from didymos_ingestion.application.keep_refusals import Refusals, keep_refusals

GROUP: Final = "ingestion.refusals"


def refusals_loop(event_log: EventLog, refusals: Refusals, clock: Clock, metrics: Metrics) -> Loop:
    """The loop of the service that keeps the list."""

    async def handle(records: Sequence[Stored]) -> None:
        if records[0].topic == TWIN_LIFECYCLE.name:
            for twin in filter(None, map(erased_twin, records)):
                await refusals.drop_twin(twin)
            return
        await keep_refusals([each for record in records for each in kept_refusals(record)], refusals, clock.now())

    async def keep(stopping: Stopping) -> None:
        consumer = Consumer(GROUP, (QUARANTINE.name, TWIN_LIFECYCLE.name), handle, metrics=metrics)
        await consume(event_log, consumer, clock, stopping)

    return keep
