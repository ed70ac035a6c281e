"""Content of the quarantine, read back from its topic and opened by the key of its twin."""

import asyncio
from typing import Final

from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsQuarantined
from didymos_contracts.errors.platform import PLATFORM_DEADLINE
from didymos_contracts.topics import QUARANTINE
from didymos_did import Did, TwinId
from didymos_kit.eventlog import EventLog, Position, Stored
from didymos_readings import decode_refused

from didymos_ingestion.adapters.readings_log import SEALED_PATH
from didymos_ingestion.application.ports import EpochKeys
from didymos_ingestion.application.release_refusals import Content
from didymos_ingestion.domain.refusal import KeptRefusal

READ_SECONDS: Final = 10.0


class LoggedQuarantine:
    """The `Quarantine` port. The log is read from its start: releases are rare, and 30 days of refusals are few."""

    def __init__(self, event_log: EventLog, keys: EpochKeys) -> None:
        self._event_log, self._keys = event_log, keys

    async def read(self, refusal: KeptRefusal) -> Content | None:
        """Raises PLATFORM_DEADLINE when the topic is not read through in time."""
        record = await self._record(Position(QUARANTINE.name, refusal.partition, refusal.offset))
        if record is None or record.value is None:
            return None
        said = ReadingsQuarantined.FromString(record.value)
        parcel, twin = said.parcel, TwinId(Did(refusal.twin))
        key = (await self._keys.fetch([twin], parcel.key_epoch))[twin]
        if key is None or parcel.twin != twin:
            return None
        body = key.open(parcel.sealed, parcel.salt, SEALED_PATH)
        return Content(decode_refused(body), body, said.received_at_us)

    async def _record(self, position: Position) -> Stored | None:
        found: list[Stored] = []

        def pick(record: Stored) -> None:
            if record.position == position:
                found.append(record)

        try:
            async with self._event_log.tail(QUARANTINE.name, pick) as tail, asyncio.timeout(READ_SECONDS):
                await tail.wait([position])
        except TimeoutError:
            raise PLATFORM_DEADLINE.problem(detail="the quarantine was not read through in time") from None
        return found[0] if found else None
