"""May this actor do this with this twin now? One pure function for every service. identity.md section 7.

Total: it never raises, reads no clock, does no I/O, and gives one answer for any order of grants. Where there is no
reason to allow, the answer is no.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from didymos_did.access import (
    AccessRequest,
    Decision,
    Effect,
    Facts,
    Freshness,
    Reason,
    SubjectStatus,
    Usage,
)
from didymos_did.conditions import CONSTRAINTS, DUTIES, Value, bounds, count, names, well_formed
from didymos_did.grants import Grant, GrantState
from didymos_did.jcs import jcs
from didymos_did.keys import GrantId
from didymos_did.multibase import b64u
from didymos_did.paths import is_path, matches
from didymos_did.purposes import PURPOSES, covered
from didymos_did.terms import LEARNING, Action

_RANK: Final = MappingProxyType({reason: rank for rank, reason in enumerate(Reason)})
_NONE_YET: Final = Usage()


def decide(request: AccessRequest, facts: Facts, now: datetime) -> Decision:
    """The decision, with its reason. Owners need no purpose, and are let in while consent is stale."""
    owner = facts.ownership.owner
    is_owner = owner is not None and request.actor == owner and request.principal is None
    wrong = _refusal(request, facts, is_owner=is_owner)
    if wrong is not None:
        return Decision(Effect.DENY, wrong)
    if is_owner:
        return Decision(Effect.ALLOW, Reason.OWNER)
    if facts.freshness is not Freshness.FRESH:
        return Decision(Effect.DENY, Reason.STALE_CONSENT)
    if request.principal is not None:
        return Decision(Effect.DENY, Reason.NO_DELEGATION)  # none can be given in this version
    furthest = Decision(Effect.DENY, Reason.NO_GRANT)
    for grant in _newest(request, facts.grants):
        decision = _weigh(request, facts, grant, now)
        if decision.effect is Effect.ALLOW:
            return decision
        if _RANK[decision.reason] > _RANK[furthest.reason]:
            furthest = decision
    return furthest


def _refusal(request: AccessRequest, facts: Facts, *, is_owner: bool) -> Reason | None:
    """What is wrong with the request itself, whatever was granted."""
    if request.purpose is None and not is_owner:
        return Reason.PURPOSE_MISSING
    if request.purpose is not None and request.purpose not in PURPOSES:
        return Reason.UNKNOWN_PURPOSE
    if not request.paths or not all(map(is_path, request.paths)):
        return Reason.BAD_PATH
    if facts.ownership.owner is None:
        return Reason.TWIN_UNKNOWN
    if facts.ownership.erased:
        return Reason.TWIN_ERASED
    if facts.subjects:
        for subject in (request.actor, request.principal):
            if subject is not None and facts.subjects.get(subject) is SubjectStatus.SUSPENDED:
                return Reason.SUBJECT_SUSPENDED
    return None


def _newest(request: AccessRequest, grants: Iterable[Grant]) -> list[Grant]:
    """What may concern this request, by id; of two records of one grant the one that holds."""
    found: dict[GrantId, Grant] = {}
    for grant in grants:
        if grant.grantee == request.actor and grant.twin == request.twin:
            known = found.get(grant.id)
            if known is None or _standing(grant) > _standing(known):
                found[grant.id] = grant
    return [found[name] for name in sorted(found)] if len(found) > 1 else list(found.values())


def _standing(grant: Grant) -> tuple[bool, int, bool, bytes]:
    """An end is final; else the higher revision holds; of equals the one that denies."""
    ended = grant.state is GrantState.REVOKED or grant.state is GrantState.EXPIRED
    return ended, grant.revision, grant.state is not GrantState.ACTIVE, grant.digest


_NOT_ACTIVE: Final = MappingProxyType({
    GrantState.REVOKED: Reason.GRANT_REVOKED,
    GrantState.EXPIRED: Reason.GRANT_EXPIRED,
    GrantState.SUSPENDED: Reason.GRANT_SUSPENDED,
})  # fmt: skip


def _weigh(request: AccessRequest, facts: Facts, grant: Grant, now: datetime) -> Decision:
    reason = _standing_reason(grant, facts, now) or _scope_reason(request, grant)
    if reason is not None:
        return Decision(Effect.DENY, reason, grant.id)
    return _conditions(request, facts.usage.get(grant.id, _NONE_YET), grant)


def _standing_reason(grant: Grant, facts: Facts, now: datetime) -> Reason | None:
    if grant.state is not GrantState.ACTIVE:
        return _NOT_ACTIVE[grant.state]
    if now >= grant.terms.valid_until:
        return Reason.GRANT_EXPIRED
    if now < grant.terms.valid_from:
        return Reason.GRANT_NOT_YET
    return None if grant.owner == facts.ownership.owner else Reason.ISSUER_NO_AUTHORITY


def _scope_reason(request: AccessRequest, grant: Grant) -> Reason | None:
    terms = grant.terms
    if request.action not in terms.actions:
        return Reason.ACTION_NOT_GRANTED
    if request.purpose is None or not covered(request.purpose, terms.purposes):
        return Reason.PURPOSE_MISMATCH
    if not all(any(matches(pattern, path) for pattern in terms.paths) for path in request.paths):
        return Reason.PATH_NOT_GRANTED
    if request.action in LEARNING and (terms.task is None or request.task != terms.task):
        return Reason.TASK_MISMATCH
    return None


def _conditions(request: AccessRequest, used: Usage, grant: Grant) -> Decision:
    for term in grant.terms.constraints:
        judge = _HOLDS.get(term.name)
        if judge is None:
            return Decision(Effect.DENY, Reason.CONSTRAINT_UNKNOWN, grant.id, detail=term.name)
        if not well_formed(CONSTRAINTS[term.name], term.value) or not judge(term.value, request):
            return Decision(Effect.DENY, Reason.CONSTRAINT_FAILED, grant.id, detail=term.name)
    for duty in grant.terms.duties:
        if duty.name not in DUTIES or not well_formed(DUTIES[duty.name], duty.value):
            return Decision(Effect.DENY, Reason.DUTY_UNKNOWN, grant.id, detail=duty.name)
        if duty.name in used.overdue:
            return Decision(Effect.DENY, Reason.DUTY_OVERDUE, grant.id, detail=duty.name)
    if not _affordable(request.action, used, grant):
        return Decision(Effect.DENY, Reason.BUDGET_EXHAUSTED, grant.id)
    return Decision(Effect.ALLOW, Reason.GRANT, grant.id, grant.terms.duties, grant.terms.valid_until)


def _affordable(action: Action, used: Usage, grant: Grant) -> bool:
    """Whether the budget has room for one more use: 0 is nothing. Rounds are exact as yet: they draw on two."""
    budget = grant.terms.budget
    match action:
        case Action.TRAIN:
            return used.rounds < budget.rounds and used.exact_rounds < budget.exact_rounds
        case Action.COMMAND:
            return used.commands < budget.commands
        case Action.READ | Action.SUBSCRIBE | Action.HISTORY:
            return used.reads < budget.reads
        case Action.DERIVE | Action.SHARE | Action.ADMINISTER:
            return True


def _min_cohort(value: Value, request: AccessRequest) -> bool:
    cohort, least = request.context.cohort, count(value)
    return request.action is not Action.TRAIN or (cohort is not None and least is not None and cohort >= least)


def _max_rate(value: Value, request: AccessRequest) -> bool:
    uses, most = request.context.uses_last_hour, count(value)
    return uses is not None and most is not None and uses < most


def _place(value: Value, request: AccessRequest) -> bool:
    return request.context.place in names(value)


def _secure_aggregation(value: Value, request: AccessRequest) -> bool:
    return request.action is not Action.TRAIN or value is False or request.context.secure_aggregation is True


def _max_epsilon(value: Value, request: AccessRequest) -> bool:  # noqa: ARG001 - whatever the bound is
    """A round without noise has no epsilon at all, and all rounds of this version are such."""
    return request.action is not Action.TRAIN


def _model_family(value: Value, request: AccessRequest) -> bool:
    return request.action not in LEARNING or request.context.model_family in names(value)


def _agreement(value: Value, request: AccessRequest) -> bool:
    return request.context.agreement in names(value)


def _value_range(value: Value, request: AccessRequest) -> bool:
    span, asked = bounds(value), request.context.value
    if request.action is not Action.COMMAND:
        return True
    return span is not None and asked is not None and span[0] <= asked <= span[1]


# `hours` is known to registration but not judged yet, so a grant that names it denies: `constraint_unknown`
_HOLDS: Final[Mapping[str, Callable[[Value, AccessRequest], bool]]] = MappingProxyType({
    "min-cohort": _min_cohort,
    "max-rate": _max_rate,
    "place": _place,
    "secure-aggregation": _secure_aggregation,
    "max-epsilon-per-round": _max_epsilon,
    "model-family": _model_family,
    "agreement": _agreement,
    "value-range": _value_range,
})  # fmt: skip


def decision_id(request: AccessRequest, facts: Facts, now: datetime) -> str:
    """Names a decision by what it was made from: base64url of 16 bytes. Anyone with the same facts gets the same id."""
    context = [repr(getattr(request.context, name)) for name in request.context.__slots__]
    asked = [
        request.actor, request.principal, request.action.value, request.twin, ascii(sorted(request.paths)),
        ascii(request.purpose), ascii(request.task), context,
    ]  # fmt: skip
    grants = sorted([g.id, g.revision, g.state.value, b64u(g.digest)] for g in facts.grants)
    used = sorted([name, *_counts(usage)] for name, usage in facts.usage.items())
    subjects = sorted([did, status.name] for did, status in facts.subjects.items())
    known = [facts.ownership.owner, facts.ownership.erased, facts.freshness.name, grants, used, subjects]
    return b64u(sha256(jcs([asked, known, now.astimezone(UTC).isoformat()])).digest()[:16])


def _counts(usage: Usage) -> list[str]:
    counts = (usage.rounds, usage.exact_rounds, usage.reads, usage.commands)
    return [*map(str, counts), *sorted(usage.overdue)]
