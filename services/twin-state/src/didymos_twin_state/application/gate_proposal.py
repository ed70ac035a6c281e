"""The gate: what stewards propose is decided under the bounds their owners signed, then it becomes a write."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from didymos_contracts.errors import Problem, Row
from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.twin import COMMAND_EXPIRED, COMMAND_NOT_ALLOWED
from didymos_did import (
    AccessRequest,
    Action,
    Context,
    DidError,
    Facts,
    Grant,
    GrantId,
    Reason,
    TwinId,
    Usage,
    bounds_of,
    decide,
)
from didymos_did.keys import Did
from didymos_kit.clock import Clock, to_us
from didymos_readings import Profile

from didymos_twin_state.application.permits import feature
from didymos_twin_state.application.write_twin import check_desired
from didymos_twin_state.domain.command import Command, PatchDesired
from didymos_twin_state.domain.twin import Scalar


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a steward wants: one desired value of one twin, under one grant. `place`: its offset plus one.

    `takes_back`: it undoes what was set under the same grant, which no rate or budget holds up; None removes the value.
    """

    id: bytes
    twin: TwinId
    actor: Did
    name: str
    value: Scalar
    unit: str
    grant: GrantId
    expires_at_us: int
    place: int
    takes_back: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a proposal is not carried out: a row of the catalogue, and a detail without values."""

    row: Row
    detail: str


@dataclass(frozen=True, slots=True)
class Spent:
    """Commands under the grant before this one: in all, and in the last hour."""

    commands: int
    last_hour: int


def gate_proposal(
    proposal: Proposal, facts: Callable[[TwinId], Facts], spent: Spent, clock: Clock, profile: Profile | None
) -> Command | Refusal:
    """The write that carries it out, or why not. Raises CONSENT_STALE: nobody is judged by what is not known."""
    now_us = clock.now_us()
    if proposal.expires_at_us and proposal.expires_at_us <= now_us:
        return Refusal(COMMAND_EXPIRED, "the proposal expired")
    known = facts(proposal.twin)
    grant = next((each for each in known.grants if each.id == proposal.grant), None)
    if known.ownership.owner is None:
        return Refusal(PLATFORM_NOT_FOUND, "no such twin")
    if grant is None:
        return Refusal(COMMAND_NOT_ALLOWED, Reason.NO_GRANT.value)
    reason = _reason(proposal, known, grant, spent, clock)
    if reason:
        return Refusal(COMMAND_NOT_ALLOWED, reason)
    made = write_of(proposal, grant, now_us)
    try:
        check_desired(made.body.entries, profile)
    except Problem as problem:
        return Refusal(problem.row, str(problem.values.get("detail", "")))
    return made.command


@dataclass(frozen=True, slots=True)
class Made:
    """The write of an admitted proposal."""

    command: Command
    body: PatchDesired


def write_of(proposal: Proposal, grant: Grant, at_us: int) -> Made:
    """What an admitted proposal becomes: a function of its arguments, so that a repeat makes the same write."""
    body = PatchDesired({proposal.name: (proposal.value, proposal.unit, _expiry(proposal, grant))})
    command = Command(proposal.id, proposal.twin, proposal.actor, proposal.grant, at_us, body, proposal=proposal.place)
    return Made(command, body)


def _reason(proposal: Proposal, known: Facts, grant: Grant, spent: Spent, clock: Clock) -> str:
    """Why `grant` does not cover it; empty if it does. Bounds without a range or a rate are none."""
    try:
        bounds = bounds_of(grant)
    except DidError:
        return Reason.ACTION_NOT_GRANTED.value
    spent = Spent(0, 0) if proposal.takes_back else spent
    value = bounds.low if proposal.takes_back and proposal.value is None else proposal.value
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    request = AccessRequest(
        proposal.actor, Action.COMMAND, proposal.twin, (feature(proposal.name),), grant.terms.purposes[0], None,
        Context(value=number, uses_last_hour=spent.last_hour),
    )  # fmt: skip
    usage = {grant.id: Usage(commands=spent.commands)}
    found = decide(request, replace(known, grants=(grant,), usage=usage), clock.now())
    if found.reason is Reason.STALE_CONSENT:
        raise CONSENT_STALE.problem(twin=proposal.twin)
    if found.allowed:
        return ""
    return f"{found.reason.value}:{found.detail}" if found.detail else found.reason.value


def _expiry(proposal: Proposal, grant: Grant) -> int:
    """A value set under a grant does not outlive it."""
    until = to_us(grant.terms.valid_until)
    return min(proposal.expires_at_us, until) if proposal.expires_at_us else until
