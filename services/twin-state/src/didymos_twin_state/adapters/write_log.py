"""didymos.twin.write.v1: one record per authorised write."""

from uuid import UUID

from didymos_contracts.topics import TWIN_WRITE
from didymos_kit.clock import Clock
from didymos_kit.eventlog import Record, Writer, envelope
from didymos_kit.telemetry import tracing

from didymos_twin_state.adapters.protobuf import write_message
from didymos_twin_state.domain.command import Command


class TopicWrites:
    """`WriteLog` on the event log."""

    def __init__(self, writer: Writer, clock: Clock, source: str) -> None:
        self._writer, self._clock, self._source = writer, clock, source

    async def append(self, command: Command) -> int:
        said = write_message(command)
        name = said.DESCRIPTOR.full_name
        event_id = str(UUID(bytes=command.id))
        said_by = envelope.Envelope(
            event_id, self._source, name, self._clock.now(), command.twin, tracing.traceparent()
        )
        headers = envelope.build(said_by)
        value = said.SerializeToString(deterministic=True)
        record = Record(TWIN_WRITE.name, command.twin.encode(), value, headers, self._clock.now_us() // 1000)
        (position,) = await self._writer.append([record])
        return position.offset
