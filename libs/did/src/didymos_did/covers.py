"""Does a grant cover an offer? What an offer permits, every grant under it permits. marketplace-ledger.md section 8."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from didymos_did.conditions import duration_seconds
from didymos_did.grants import Grant, GrantState
from didymos_did.keys import Did
from didymos_did.paths import all_included
from didymos_did.purposes import covered
from didymos_did.terms import Terms

_LOWER_BOUND: Final = frozenset({"min-cohort"})


@dataclass(frozen=True, slots=True)
class Exceeds:
    """The first dimension in which the offer asks for more than the grant gives."""

    dimension: str


def covers(grant: Grant, offer: Terms, recipient: Did, now: datetime) -> Exceeds | None:
    """None if `grant` admits all that `offer` asks for `recipient`; else what exceeds it."""
    given = grant.terms
    if grant.state is not GrantState.ACTIVE or now >= given.valid_until:
        return Exceeds("state")
    if grant.grantee != recipient:
        return Exceeds("recipient")
    if not set(offer.actions) <= set(given.actions):
        return Exceeds("actions")
    if not all_included(given.paths, offer.paths):
        return Exceeds("paths")
    if not all(covered(purpose, given.purposes) for purpose in offer.purposes):
        return Exceeds("purposes")
    if offer.task != given.task:
        return Exceeds("task")
    if offer.valid_from < given.valid_from or offer.valid_until > given.valid_until:
        return Exceeds("window")
    return _budget(given, offer) or _constraints(given, offer) or _duties(given, offer)


def _budget(given: Terms, offer: Terms) -> Exceeds | None:
    for name in ("epsilon_micro", "rounds", "exact_rounds", "reads", "commands"):
        if getattr(offer.budget, name) > getattr(given.budget, name):
            return Exceeds(f"budget:{name}")
    return None


def _constraints(given: Terms, offer: Terms) -> Exceeds | None:
    """Each constraint of the grant is in the offer, equal or tighter."""
    for term in given.constraints:
        asked = offer.constraint(term.name)
        if asked is None:
            return Exceeds(f"constraint:{term.name}")
        if term.name in _LOWER_BOUND and type(asked) is int and type(term.value) is int:
            if asked < term.value:
                return Exceeds(f"constraint:{term.name}")
        elif asked != term.value:
            return Exceeds(f"constraint:{term.name}")
    return None


def _duties(given: Terms, offer: Terms) -> Exceeds | None:
    offered = {duty.name: duty.value for duty in offer.duties}
    for duty in given.duties:
        asked = offered.get(duty.name)
        if duty.name == "delete-after" and isinstance(asked, str) and isinstance(duty.value, str):
            if duration_seconds(asked) > duration_seconds(duty.value):
                return Exceeds(f"duty:{duty.name}")
        elif duty.name == "compensate" and type(asked) is int and type(duty.value) is int:
            if asked < duty.value:
                return Exceeds(f"duty:{duty.name}")
        elif asked != duty.value:
            return Exceeds(f"duty:{duty.name}")
    return None
