"""What twin-state says to others: changes, refusals, equivocations, lives; each under an id that a replay repeats."""

from collections.abc import Sequence
from hashlib import sha1
from typing import Final, TypeAlias
from uuid import UUID

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
from didymos_twin_state.domain.command import WithdrawModel

CHANGE_PATH: Final = "*"
_IDS: Final = UUID("5f1c2e0a-6f0e-5b0d-9a53-1d3c0c5f7e11")  # the name space of these ids
Said: TypeAlias = tuple[Topic, str, Message, int, str]
_TOPICS: Final = {"readings": READINGS.name, "writes": TWIN_WRITE.name}


class LogAnnouncements:
    """`Announcements` on the event log."""

    def __init__(self, writer: Writer, seals: VaultSeals, clock: Clock, source: str) -> None:
        self._writer, self._seals, self._clock, self._source = writer, seals, clock, source

    async def announce(self, news: Sequence[Change | Held | Refused | Lived]) -> None:
        epoch = self._seals.epoch
        await self._seals.warm((item.twin, epoch) for item in news if isinstance(item, Change))
        said = envelope.Envelope("-", self._source, "-", self._clock.now(), "-", tracing.traceparent())
        headers, at_ms = envelope.build(said), self._clock.now_us() // 1000
        records = []
        for item in news:
            for topic, twin, message, offset, kind in (await self._said(item), *_withdrawn(item)):
                named = {
                    **headers, "ce_id": event_id(kind, offset, twin).encode(), "ce_subject": twin.encode(),
                    "ce_type": message.DESCRIPTOR.full_name.encode(),
                }  # fmt: skip
                value = message.SerializeToString(deterministic=True)
                records.append(Record(topic, twin.encode(), value, named, at_ms))
        await self._writer.append(records)

    async def _said(self, item: Change | Held | Refused | Lived) -> Said:
        match item:
            case Change():
                return TWIN_CHANGED.name, item.twin, await self._changed(item), item.offset, item.source
            case Held():
                return TWIN_CHANGED.name, item.parcel.twin, _equivocated(item), item.offset, "held"
            case Refused():
                return TWIN_CHANGED.name, item.command.twin, _refused(item), item.offset, "refused"
            case Lived():
                return TWIN_LIFECYCLE.name, item.twin, _lived(item), item.offset, "lived"

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


def event_id(kind: str, offset: int, twin: str) -> str:
    """The UUIDv5 (RFC 9562) of the three: `uuid5` makes an object of each, which a hundred thousand a second feel."""
    made = bytearray(sha1(_IDS.bytes + f"{kind}|{offset}|{twin}".encode(), usedforsecurity=False).digest()[:16])
    made[6], made[8] = made[6] & 0x0F | 0x50, made[8] & 0x3F | 0x80
    text = made.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _withdrawn(item: Change | Held | Refused | Lived) -> list[Said]:
    """What is said beside the change that took a model away."""
    if not isinstance(item, Change) or item.command is None or not isinstance(item.command.body, WithdrawModel):
        return []
    model, reason = item.command.body.model, item.command.body.reason
    said = events.ModelWithdrawn(twin=item.twin, model_id=model.model_id, task=model.task, reason=reason)
    said.at.FromDatetime(from_us(item.command.at_us))
    return [(TWIN_CHANGED.name, item.twin, said, item.offset, "withdrawn")]


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
