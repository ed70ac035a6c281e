"""What twin-state says to others: changes, refusals, equivocations, lives; each under an id that a replay repeats."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from didymos.twin.v1 import twin_events_pb2 as events
from didymos.twin.v1 import twin_types_pb2 as types
from didymos_contracts.topics import READINGS, TWIN_CHANGED, TWIN_LIFECYCLE, TWIN_WRITE, Topic
from didymos_kit.clock import Clock, from_us
from didymos_kit.eventlog import Record, Writer, envelope
from didymos_kit.telemetry import tracing
from google.protobuf.message import Message

from didymos_twin_state.adapters.protobuf import change_body, changed_properties
from didymos_twin_state.adapters.seals import VaultSeals
from didymos_twin_state.application.ports import Change, Held, Lived, Refused

CHANGE_PATH: Final = "*"
_IDS: Final = UUID("5f1c2e0a-6f0e-5b0d-9a53-1d3c0c5f7e11")  # the name space of these ids
_TOPICS: Final = {"readings": READINGS.name, "writes": TWIN_WRITE.name}


class LogAnnouncements:
    """`Announcements` on the event log."""

    def __init__(self, writer: Writer, seals: VaultSeals, clock: Clock, source: str) -> None:
        self._writer, self._seals, self._clock, self._source = writer, seals, clock, source

    async def announce(self, news: Sequence[Change | Held | Refused | Lived]) -> None:
        epoch = self._seals.epoch
        await self._seals.warm((item.twin, epoch) for item in news if isinstance(item, Change))
        now = self._clock.now()
        await self._writer.append([await self._record(item, now) for item in news])

    async def _record(self, item: Change | Held | Refused | Lived, now: datetime) -> Record:
        match item:
            case Change():
                return self._of(TWIN_CHANGED.name, item.twin, await self._changed(item), item.offset, now, item.source)
            case Held():
                return self._of(TWIN_CHANGED.name, item.parcel.twin, _equivocated(item), item.offset, now, "held")
            case Refused():
                return self._of(TWIN_CHANGED.name, item.command.twin, _refused(item), item.offset, now, "refused")
            case Lived():
                return self._of(TWIN_LIFECYCLE.name, item.twin, _lived(item), item.offset, now, "lived")

    async def _changed(self, item: Change) -> events.TwinChanged:
        said = events.TwinChanged(
            twin=item.twin, revision=item.revision, source_topic=_TOPICS[item.source], source_partition=item.part,
            source_offset=item.offset, properties=changed_properties(item),
        )  # fmt: skip
        body = change_body(item).SerializeToString(deterministic=True)
        blob = await self._seals.seal_blob(item.twin, body, CHANGE_PATH)
        if blob is not None:
            said.key_epoch, said.salt, said.sealed = blob.key_epoch, blob.salt, blob.sealed
        return said

    def _of(self, topic: Topic, twin: str, said: Message, offset: int, now: datetime, kind: str) -> Record:
        event_id = str(uuid5(_IDS, f"{kind}|{offset}|{twin}"))
        name = said.DESCRIPTOR.full_name
        headers = envelope.build(envelope.Envelope(event_id, self._source, name, now, twin, tracing.traceparent()))
        value = said.SerializeToString(deterministic=True)
        return Record(topic, twin.encode(), value, headers, self._clock.now_us() // 1000)


def _equivocated(item: Held) -> events.DeviceEquivocated:
    parcel = item.parcel
    return events.DeviceEquivocated(
        twin=parcel.twin, device=parcel.device, stream=parcel.stream, number=parcel.number, held_digest=parcel.digest
    )


def _refused(item: Refused) -> events.CommandRefused:
    return events.CommandRefused(twin=item.command.twin, command_id=item.command.id, code=item.outcome.value)


def _lived(item: Lived) -> events.TwinLifecycleChanged:
    said = events.TwinLifecycleChanged(
        twin=item.twin, owner=item.owner, lifecycle=types.Lifecycle.ValueType(int(item.lifecycle)),
        profile=item.profile, revision=item.revision,
    )  # fmt: skip
    said.at.FromDatetime(from_us(item.at_us))
    return said
