"""Values of the domain as messages of didymos.twin.v1, and back."""

from collections.abc import Iterable
from typing import Final

from didymos.ingestion.v1.ingestion_types_pb2 import Assurance
from didymos.twin.v1 import twin_events_pb2 as events
from didymos.twin.v1 import twin_types_pb2 as types

from didymos_twin_state.application.ports import Change
from didymos_twin_state.domain.command import (
    AttachModel,
    Body,
    Command,
    Create,
    DeleteRelation,
    PatchDesired,
    PutRelation,
    SetLifecycle,
    SetRetention,
    WithdrawModel,
)
from didymos_twin_state.domain.twin import Cell, Lifecycle, Model, Relation, Scalar, TwinState, Wish

_ASSURANCES: Final = frozenset(Assurance.values())
SEQUENCE_BITS: Final = 24  # the sequence of a reading is number * 2^24 + its running index in the batch


def value_message(value: Scalar) -> types.Value:
    """None is a value without a kind: unknown."""
    match value:
        case None:
            return types.Value()
        case bool():
            return types.Value(truth=value)
        case int():
            return types.Value(integer=value)
        case float():
            return types.Value(number=value)
        case str():
            return types.Value(text=value)
        case (x, y, z):
            return types.Value(point=types.Point(longitude=x, latitude=y, altitude=z))


def value_of(message: types.Value) -> Scalar:
    match message.WhichOneof("kind"):
        case "number":
            return message.number
        case "integer":
            return message.integer
        case "truth":
            return message.truth
        case "text":
            return message.text
        case "point":
            return (message.point.longitude, message.point.latitude, message.point.altitude)
        case _:
            return None


def sequence(cell: Cell) -> int:
    """uint64: very large numbers wrap, as the field is for people to look at."""
    return (cell.number << SEQUENCE_BITS | cell.index) & (1 << 64) - 1


def reported_message(name: str, cell: Cell) -> types.Reported:
    return types.Reported(
        property=name, value=value_message(cell.value), unit=cell.unit, observed_at_us=cell.observed_at_us,
        quality=cell.quality, flags=cell.flags, device=cell.device, sequence=sequence(cell),
        assurance=_assurance(cell.assurance),
    )  # fmt: skip


def _assurance(number: int) -> Assurance.ValueType:
    """Of what a later version adds, unspecified."""
    return Assurance.ValueType(number) if number in _ASSURANCES else Assurance.ASSURANCE_UNSPECIFIED


def desired_message(name: str, wish: Wish) -> types.Desired:
    return types.Desired(
        property=name, value=value_message(wish.value), unit=wish.unit, actor=wish.actor, grant_id=wish.grant,
        set_at_us=wish.set_at_us, expires_at_us=wish.expires_at_us,
    )  # fmt: skip


def relation_message(relation: Relation) -> types.Relation:
    return types.Relation(name=relation.name, target=relation.target, accepted=relation.accepted)


def model_message(model: Model) -> types.ModelRef:
    return types.ModelRef(model_id=model.model_id, task=model.task, personal=model.personal)


def change_body(change: Change) -> events.ChangeBody:
    """What changed, as it is sealed. A desired value that was removed stands there without a value."""
    body = events.ChangeBody(
        reported=[reported_message(name, cell) for name, cell in change.cells.items()],
        lifecycle=_lifecycle(change.state),
    )
    command = change.command
    match None if command is None else command.body:
        case PatchDesired(entries):
            body.desired.extend(_wanted(change.state, entries))
        case PutRelation() | DeleteRelation():
            body.relations.extend(relation_message(each) for each in change.state.relations)
        case AttachModel(model):
            body.models.append(model_message(model))
        case _:
            pass
    return body


def changed_properties(change: Change) -> list[str]:
    command = change.command
    if command is not None and isinstance(command.body, PatchDesired):
        return sorted(f"features/{name}" for name in command.body.entries)
    return sorted(f"features/{name}" for name in change.cells)


def _wanted(state: TwinState, names: Iterable[str]) -> list[types.Desired]:
    return [
        desired_message(name, state.desired[name]) if name in state.desired else types.Desired(property=name)
        for name in names
    ]


def _lifecycle(state: TwinState) -> types.Lifecycle.ValueType:
    return types.Lifecycle.ValueType(state.lifecycle)


def write_message(command: Command) -> events.TwinWrite:
    """The write as it travels on didymos.twin.write.v1."""
    said = events.TwinWrite(
        command_id=command.id, twin=command.twin, actor=command.actor, grant_id=command.grant, at_us=command.at_us,
        expected_revision=command.expected or 0, conditional=command.expected is not None,
        proposal_offset=command.proposal,
    )  # fmt: skip
    match command.body:
        case Create(owner, profile):
            said.create.CopyFrom(events.CreateTwin(owner=owner, profile=profile))
        case PatchDesired(entries):
            said.patch_desired.CopyFrom(
                events.PatchDesired(
                    entries=[
                        types.Desired(property=name, value=value_message(value), unit=unit, expires_at_us=expires)
                        for name, (value, unit, expires) in entries.items()
                    ]
                )
            )
        case PutRelation(relation):
            said.put_relation.CopyFrom(events.PutRelation(relation=relation_message(relation)))
        case DeleteRelation(name, target):
            said.delete_relation.CopyFrom(events.DeleteRelation(name=name, target=target))
        case AttachModel(model):
            said.attach_model.CopyFrom(events.AttachModel(model=model_message(model)))
        case WithdrawModel(model, reason):
            said.withdraw_model.CopyFrom(events.WithdrawModel(model=model_message(model), reason=reason))
        case SetRetention(days):
            said.set_retention.CopyFrom(events.SetRetention(days=days))
        case SetLifecycle(lifecycle):
            said.set_lifecycle.CopyFrom(events.SetLifecycle(lifecycle=types.Lifecycle.ValueType(int(lifecycle))))
    return said


def command_of(said: events.TwinWrite) -> Command:
    """Raises ValueError for a write that says nothing, or a step of life that is not known here."""
    expected = said.expected_revision if said.conditional else None
    return Command(
        said.command_id, said.twin, said.actor, said.grant_id, said.at_us, _body(said), expected, said.proposal_offset
    )


def _body(said: events.TwinWrite) -> Body:
    match said.WhichOneof("command"):
        case "create":
            return Create(said.create.owner, said.create.profile)
        case "patch_desired":
            entries = said.patch_desired.entries
            return PatchDesired({e.property: (value_of(e.value), e.unit, e.expires_at_us) for e in entries})
        case "put_relation":
            edge = said.put_relation.relation
            return PutRelation(Relation(edge.name, edge.target, edge.accepted))
        case "delete_relation":
            return DeleteRelation(said.delete_relation.name, said.delete_relation.target)
        case "attach_model":
            return AttachModel(_model(said.attach_model.model))
        case "withdraw_model":
            return WithdrawModel(_model(said.withdraw_model.model), said.withdraw_model.reason)
        case "set_retention":
            return SetRetention(said.set_retention.days)
        case "set_lifecycle":
            return SetLifecycle(Lifecycle(said.set_lifecycle.lifecycle))
        case _:
            raise ValueError("a write without a command")


def _model(said: types.ModelRef) -> Model:
    return Model(said.model_id, said.task, said.personal)
