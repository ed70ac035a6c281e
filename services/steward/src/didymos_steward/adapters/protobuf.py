"""Between our values and the messages of the contracts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from didymos.steward.v1 import steward_service_pb2 as pb
from didymos.twin.v1 import twin_events_pb2 as events
from didymos.twin.v1 import twin_types_pb2 as types
from didymos_did import Did, TwinId
from didymos_kit.clock import to_us
from didymos_kit.eventlog.envelope import event_type
from didymos_kit.eventlog.port import Stored

from didymos_steward.application.ports import Command
from didymos_steward.domain.steward import Act, ActState


@dataclass(frozen=True, slots=True)
class Changed:
    """A twin changed. `properties`: paths that did; "" stands for what is no property, as a model.

    `command_id` follows from the place of the change: the same change makes the same command.
    """

    twin: TwinId
    properties: frozenset[str]
    command_id: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """The gate did not carry out a proposal."""

    twin: TwinId
    command_id: bytes
    code: str


Signal: TypeAlias = Changed | Refused


def signals(records: Sequence[Stored]) -> Iterator[Signal]:
    """What a slice says, of two changes of one twin only the newer. Raises EnvelopeError, DecodeError."""
    newest: dict[TwinId, Changed] = {}
    for record in records:
        name = event_type(record.headers)
        if name == events.CommandRefused.DESCRIPTOR.full_name:
            refused = events.CommandRefused.FromString(record.value or b"")
            yield Refused(TwinId(refused.twin), refused.command_id, refused.code)
        elif name == events.TwinChanged.DESCRIPTOR.full_name:
            changed = events.TwinChanged.FromString(record.value or b"")
            twin = TwinId(changed.twin)
            before = newest[twin].properties if twin in newest else frozenset[str]()
            properties = frozenset(map(_path, changed.properties)) or frozenset({""})
            newest[twin] = Changed(twin, before | properties, _command_id(changed))
    yield from newest.values()


def _path(said: str) -> str:
    return said if said.startswith("features/") else ""


def _command_id(changed: events.TwinChanged) -> bytes:
    place = f"{changed.twin}|{changed.source_topic}|{changed.source_partition}|{changed.source_offset}"
    return sha256(b"didymos/steward-command/v1\0" + place.encode()).digest()[:16]


def command_proposed(command: Command, actor: Did) -> events.CommandProposed:
    value = types.Value() if command.value is None else types.Value(number=command.value)
    return events.CommandProposed(
        command_id=command.id, twin=command.twin, actor=actor, property=command.property, value=value,
        unit=command.unit, grant_id=command.grant, expires_at_us=to_us(command.expires_at), undoes=command.undoes,
    )  # fmt: skip


def act_message(act: Act) -> pb.Act:
    return pb.Act(
        command_id=act.id, twin=act.twin, property=act.property, value=act.value, reason=act.reason,
        grant_id=act.grant, at_us=to_us(act.at), undone=act.state is ActState.UNDONE,
    )  # fmt: skip
