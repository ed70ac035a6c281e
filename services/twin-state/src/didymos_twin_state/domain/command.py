"""Applying writes: deterministic checks only, so that a replay repeats them exactly. data-path.md section 8."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from didymos_twin_state.domain.twin import (
    KEPT_COMMANDS,
    Lifecycle,
    Model,
    Relation,
    Scalar,
    TwinState,
    Wish,
    with_changes,
)


@dataclass(frozen=True, slots=True)
class Create:
    owner: str
    profile: str


@dataclass(frozen=True, slots=True)
class PatchDesired:
    """RFC 7396 on the desired values: a value of None removes the entry."""

    entries: Mapping[str, tuple[Scalar, str, int]]  # property to (value, unit, expires_at_us)


@dataclass(frozen=True, slots=True)
class PutRelation:
    relation: Relation


@dataclass(frozen=True, slots=True)
class DeleteRelation:
    name: str
    target: str


@dataclass(frozen=True, slots=True)
class AttachModel:
    model: Model


@dataclass(frozen=True, slots=True)
class WithdrawModel:
    """Without effect (`UNKNOWN`) if another model serves the task by then."""

    model: Model
    reason: str


@dataclass(frozen=True, slots=True)
class SetLifecycle:
    lifecycle: Lifecycle


@dataclass(frozen=True, slots=True)
class SetRetention:
    """`days` 0: as long as the house keeps it."""

    days: int


Body: TypeAlias = (
    Create | PatchDesired | PutRelation | DeleteRelation | AttachModel | WithdrawModel | SetLifecycle | SetRetention
)


@dataclass(frozen=True, slots=True)
class Command:
    """One authorised write. `expected` is the revision of If-Match; `proposal` the offset it answers, plus one."""

    id: bytes
    twin: str
    actor: str
    grant: str
    at_us: int
    body: Body
    expected: int | None = None
    proposal: int = 0


class Outcome(Enum):
    """What became of a write; `value` is its error code, or empty."""

    APPLIED = ""
    REPEATED = "repeated"
    REVISION_CONFLICT = "twin.revision_conflict"
    EXISTS = "twin.exists"
    UNKNOWN = "platform.not_found"
    LIFECYCLE = "twin.lifecycle_refused"
    TOO_MANY = "twin.too_many_relations"
    TOO_MANY_DESIRED = "twin.too_many_desired"


MOVES: Mapping[int, frozenset[Lifecycle]] = {
    0: frozenset({Lifecycle.ERASED}),
    Lifecycle.DRAFT: frozenset({Lifecycle.ACTIVE, Lifecycle.RETIRED, Lifecycle.ERASED}),
    Lifecycle.ACTIVE: frozenset({Lifecycle.SUSPENDED, Lifecycle.RETIRED, Lifecycle.ERASED}),
    Lifecycle.SUSPENDED: frozenset({Lifecycle.ACTIVE, Lifecycle.RETIRED, Lifecycle.ERASED}),
    Lifecycle.RETIRED: frozenset({Lifecycle.ERASED}),
    Lifecycle.ERASED: frozenset(),
}
MOST_RELATIONS = 1000
MOST_DESIRED = 64


def apply_command(twin: TwinState, command: Command) -> tuple[TwinState, Outcome]:
    """The twin after `command`. An effective one adds 1 to the revision; a repeated id changes nothing."""
    if command.id in twin.commands or 0 < command.proposal <= twin.proposal:
        return twin, Outcome.REPEATED
    if isinstance(command.body, Create):
        if twin.lifecycle:
            return twin, Outcome.EXISTS
    elif not twin.exists and not (twin.lifecycle == 0 and command.body == SetLifecycle(Lifecycle.ERASED)):
        return twin, Outcome.UNKNOWN  # what nobody created can still be erased: readings may have come
    if command.expected is not None and command.expected != twin.revision:
        return twin, Outcome.REVISION_CONFLICT
    changed = _changed(twin, command)
    if isinstance(changed, Outcome):
        return twin, changed
    commands = (*twin.commands, command.id)[-KEPT_COMMANDS:]
    proposal = max(twin.proposal, command.proposal)
    return with_changes(changed, revision=twin.revision + 1, commands=commands, proposal=proposal), Outcome.APPLIED


def _changed(twin: TwinState, command: Command) -> TwinState | Outcome:
    match command.body:
        case Create(owner, profile):
            return with_changes(twin, lifecycle=int(Lifecycle.ACTIVE), owner=owner, profile=profile)
        case PatchDesired(entries):
            desired = _patched(twin.desired, entries, command)
            return Outcome.TOO_MANY_DESIRED if len(desired) > MOST_DESIRED else with_changes(twin, desired=desired)
        case PutRelation(relation):
            kept = tuple(r for r in twin.relations if (r.name, r.target) != (relation.name, relation.target))
            if len(kept) >= MOST_RELATIONS:
                return Outcome.TOO_MANY
            known = any(r.accepted for r in twin.relations if (r.name, r.target) == (relation.name, relation.target))
            added = Relation(relation.name, relation.target, accepted=relation.accepted or known)
            return with_changes(twin, relations=(*kept, added))
        case DeleteRelation(name, target):
            kept = tuple(r for r in twin.relations if (r.name, r.target) != (name, target))
            return with_changes(twin, relations=kept)
        case AttachModel() | WithdrawModel() as body:
            return _served(twin, body)
        case SetRetention(days):
            return with_changes(twin, keep_days=days)
        case SetLifecycle(lifecycle):
            if lifecycle not in MOVES[twin.lifecycle]:
                return Outcome.LIFECYCLE
            if lifecycle is Lifecycle.ERASED:
                return _erased(twin)
            return with_changes(twin, lifecycle=int(lifecycle))


def _served(twin: TwinState, body: AttachModel | WithdrawModel) -> TwinState | Outcome:
    """What drift took away comes back by another model only."""
    model = body.model
    models = {task: one for task, one in twin.models.items() if task != model.task}
    withdrawn = {task: one for task, one in twin.withdrawn.items() if task != model.task}
    if isinstance(body, AttachModel):
        if twin.withdrawn.get(model.task) == model.model_id:
            return Outcome.REPEATED
        return with_changes(twin, models={**models, model.task: model}, withdrawn=withdrawn)
    if twin.models.get(model.task) != model:
        return Outcome.UNKNOWN
    return with_changes(twin, models=models, withdrawn={**withdrawn, model.task: model.model_id})


def _erased(twin: TwinState) -> TwinState:
    """What may stay of an erased twin: its counters and windows, so that nothing of it is applied again as new."""
    return with_changes(
        twin, lifecycle=int(Lifecycle.ERASED), cells={}, desired={}, relations=(), models={}, withdrawn={}
    )


def _patched(
    desired: Mapping[str, Wish], entries: Mapping[str, tuple[Scalar, str, int]], command: Command
) -> dict[str, Wish]:
    kept = {name: wish for name, wish in desired.items() if name not in entries}
    for name, (value, unit, expires_at_us) in entries.items():
        if value is not None:
            kept[name] = Wish(value, unit, command.actor, command.grant, command.at_us, expires_at_us)
    return kept
