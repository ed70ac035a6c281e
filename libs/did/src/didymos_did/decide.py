"""May this actor do this with this twin now? One pure function for every service. identity.md section 7.

Total: it never raises, reads no clock, does no I/O, and gives one answer for any order of grants. Facts hold only what
was verified. The absence of a reason to allow is a denial.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final

from didymos_did.conditions import CONSTRAINTS, DUTIES
from didymos_did.errors import DidError
from didymos_did.grants import Grant, GrantState
from didymos_did.keys import Did, GrantId, TwinId
from didymos_did.paths import matches, parse_path
from didymos_did.purposes import PURPOSES, Purpose, covered
from didymos_did.terms import Action, Task, Term


class Reason(Enum):
    """Why. A member's order is how far a grant came: of several denials the furthest is told."""

    PURPOSE_MISSING = "purpose_missing"
    UNKNOWN_PURPOSE = "unknown_purpose"
    BAD_PATH = "bad_path"
    TWIN_UNKNOWN = "twin_unknown"
    TWIN_ERASED = "twin_erased"
    SUBJECT_SUSPENDED = "subject_suspended"
    STALE_CONSENT = "stale_consent"
    NO_GRANT = "no_grant"
    GRANT_REVOKED = "grant_revoked"
    GRANT_EXPIRED = "grant_expired"
    GRANT_SUSPENDED = "grant_suspended"
    GRANT_NOT_YET = "grant_not_yet"
    ISSUER_NO_AUTHORITY = "issuer_no_authority"
    ACTION_NOT_GRANTED = "action_not_granted"
    PURPOSE_MISMATCH = "purpose_mismatch"
    PATH_NOT_GRANTED = "path_not_granted"
    TASK_MISMATCH = "task_mismatch"
    CONSTRAINT_UNKNOWN = "constraint_unknown"
    CONSTRAINT_FAILED = "constraint_failed"
    DUTY_UNKNOWN = "duty_unknown"
    BUDGET_EXHAUSTED = "budget_exhausted"
    OWNER = "owner"
    GRANT = "grant"


_RANK: Final = {reason: rank for rank, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of the use itself. None is "not said", and fails a constraint that asks for it."""

    cohort: int | None = None
    secure_aggregation: bool | None = None
    model_family: str | None = None
    agreement: str | None = None
    value: float | None = None
    place: str | None = None
    uses_last_hour: int | None = None


@dataclass(frozen=True, slots=True)
class AccessRequest:
    actor: Did
    action: Action
    twin: TwinId
    paths: tuple[str, ...]
    purpose: Purpose | None
    task: Task | None = None
    context: Context = Context()


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used up under a grant so far."""

    rounds: int = 0
    exact_rounds: int = 0
    reads: int = 0
    commands: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a twin. `owner` is None while nobody registered it; `fresh`: the consent tail is not stale."""

    owner: Did | None
    grants: tuple[Grant, ...]
    fresh: bool
    erased: bool = False
    suspended: frozenset[Did] = frozenset()
    usage: dict[GrantId, Usage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """`until`: the answer cannot change before, unless a record arrives. `detail` names a constraint or duty."""

    allowed: bool
    reason: Reason
    grant: GrantId | None = None
    until: datetime | None = None
    detail: str = ""


def _denied(reason: Reason, grant: Grant | None = None, detail: str = "") -> Decision:
    return Decision(allowed=False, reason=reason, grant=None if grant is None else grant.id, detail=detail)


def decide(request: AccessRequest, facts: Facts, now: datetime) -> Decision:
    """The decision, with its reason. Owners need no purpose, and are let in while consent is stale."""
    is_owner = facts.owner is not None and request.actor == facts.owner
    malformed = _malformed(request, is_owner=is_owner)
    if malformed is not None:
        return _denied(malformed)
    if facts.owner is None:
        return _denied(Reason.TWIN_UNKNOWN)
    if facts.erased:
        return _denied(Reason.TWIN_ERASED)
    if request.actor in facts.suspended:
        return _denied(Reason.SUBJECT_SUSPENDED)
    if is_owner:
        return Decision(allowed=True, reason=Reason.OWNER)
    if not facts.fresh:
        return _denied(Reason.STALE_CONSENT)
    mine = sorted((g for g in facts.grants if g.twin == request.twin and g.grantee == request.actor), key=_order)
    answers = [_weigh(request, facts, grant, now) for grant in mine]
    allowed = next((answer for answer in answers if answer.allowed), None)
    if allowed is not None:
        return allowed
    return max(answers, key=lambda answer: _RANK[answer.reason], default=_denied(Reason.NO_GRANT))


def _order(grant: Grant) -> tuple[str, int]:
    return (grant.id, grant.revision)


def _malformed(request: AccessRequest, *, is_owner: bool) -> Reason | None:
    if request.purpose is None and not is_owner:
        return Reason.PURPOSE_MISSING
    if request.purpose is not None and request.purpose not in PURPOSES:
        return Reason.UNKNOWN_PURPOSE
    try:
        for path in request.paths:
            parse_path(path)
    except DidError:
        return Reason.BAD_PATH
    return None if request.paths else Reason.BAD_PATH


_ENDED: Final = {
    GrantState.REVOKED: Reason.GRANT_REVOKED,
    GrantState.EXPIRED: Reason.GRANT_EXPIRED,
    GrantState.SUSPENDED: Reason.GRANT_SUSPENDED,
}


def _weigh(request: AccessRequest, facts: Facts, grant: Grant, now: datetime) -> Decision:
    terms = grant.terms
    if grant.state in _ENDED:
        return _denied(_ENDED[grant.state], grant)
    if now >= terms.valid_until:
        return _denied(Reason.GRANT_EXPIRED, grant)
    if now < terms.valid_from:
        return _denied(Reason.GRANT_NOT_YET, grant)
    if grant.owner != facts.owner:
        return _denied(Reason.ISSUER_NO_AUTHORITY, grant)
    if request.action not in terms.actions:
        return _denied(Reason.ACTION_NOT_GRANTED, grant)
    if request.purpose is None or not covered(request.purpose, terms.purposes):
        return _denied(Reason.PURPOSE_MISMATCH, grant)
    if not all(any(matches(pattern, path) for pattern in terms.paths) for path in request.paths):
        return _denied(Reason.PATH_NOT_GRANTED, grant)
    if request.action in (Action.TRAIN, Action.DERIVE) and request.task != terms.task:
        return _denied(Reason.TASK_MISMATCH, grant)
    return _conditions(request, facts, grant)


def _conditions(request: AccessRequest, facts: Facts, grant: Grant) -> Decision:
    for term in grant.terms.constraints:
        if term.name not in CONSTRAINTS:
            return _denied(Reason.CONSTRAINT_UNKNOWN, grant, term.name)
        if not _holds(term, request):
            return _denied(Reason.CONSTRAINT_FAILED, grant, term.name)
    for duty in grant.terms.duties:
        if duty.name not in DUTIES:
            return _denied(Reason.DUTY_UNKNOWN, grant, duty.name)
    if not _affordable(request, facts.usage.get(grant.id, Usage()), grant):
        return _denied(Reason.BUDGET_EXHAUSTED, grant)
    return Decision(allowed=True, reason=Reason.GRANT, grant=grant.id, until=grant.terms.valid_until)


def _holds(term: Term, request: AccessRequest) -> bool:
    """Whether a constraint holds. One that says nothing about this action holds; one that cannot be judged fails."""
    context, value = request.context, term.value
    learning = request.action in (Action.TRAIN, Action.DERIVE)
    match term.name:
        case "min-cohort":
            return request.action is not Action.TRAIN or _at_least(context.cohort, value)
        case "secure-aggregation":
            return request.action is not Action.TRAIN or value is False or context.secure_aggregation is True
        case "model-family":
            return not learning or context.model_family in _texts(value)
        case "agreement":
            return context.agreement is not None and context.agreement in _texts(value)
        case "place":
            return context.place is not None and context.place in _texts(value)
        case "max-rate":
            return context.uses_last_hour is not None and type(value) is int and context.uses_last_hour < value
        case "value-range":
            return request.action is not Action.COMMAND or _within(context.value, value)
    return False  # hours, max-epsilon-per-round: not judged in this version, so they deny


def _at_least(count: int | None, least: object) -> bool:
    return count is not None and type(least) is int and count >= least


def _within(value: float | None, bounds: object) -> bool:
    if value is None or not isinstance(bounds, tuple) or len(bounds) != 2:
        return False
    low, high = bounds
    return isinstance(low, int) and isinstance(high, int) and low <= value <= high


def _texts(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


def _affordable(request: AccessRequest, used: Usage, grant: Grant) -> bool:
    """Training without differential privacy draws on `exact_rounds`, commands on `commands`; absent means none."""
    budget = grant.terms.budget
    if request.action is Action.TRAIN:
        return used.rounds < budget.rounds and used.exact_rounds < budget.exact_rounds
    if request.action is Action.COMMAND:
        return used.commands < budget.commands
    return budget.reads == 0 or used.reads < budget.reads
