"""Does a grant cover an offer? What an offer permits, every grant under it permits. marketplace-ledger.md section 8."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from didymos_did.conditions import CONSTRAINTS, DUTIES, Shape, tighter
from didymos_did.grants import Grant, GrantState
from didymos_did.keys import Did
from didymos_did.paths import all_included
from didymos_did.purposes import covered
from didymos_did.terms import LEARNING, Budget, Term, Terms


@dataclass(frozen=True, slots=True)
class Exceeds:
    """The first dimension in which the offer asks for more than the grant gives, with both sides as text."""

    dimension: str
    given: str
    asked: str


def covers(given: Terms, offer: Terms) -> bool:
    """Whether all that `offer` permits is permitted by `given`."""
    return excess(given, offer) is None


def excess(given: Terms, offer: Terms) -> Exceeds | None:
    """What `offer` permits beyond `given`; None if it is covered."""
    if not set(offer.actions) <= set(given.actions):
        return _exceeds("actions", (a.value for a in given.actions), (a.value for a in offer.actions))
    if not all_included(given.paths, offer.paths):
        return _exceeds("paths", given.paths, offer.paths)
    if not all(covered(purpose, given.purposes) for purpose in offer.purposes):
        return _exceeds("purposes", given.purposes, offer.purposes)
    if LEARNING & set(offer.actions) and (given.task is None or offer.task != given.task):
        return _exceeds("task", [str(given.task)], [str(offer.task)])
    if offer.valid_from < given.valid_from or offer.valid_until > given.valid_until:
        return _exceeds(
            "window",
            (given.valid_from.isoformat(), given.valid_until.isoformat()),
            (offer.valid_from.isoformat(), offer.valid_until.isoformat()),
        )
    return (
        _budget_excess(given.budget, offer.budget)
        or _terms_excess("constraint", CONSTRAINTS, given.constraints, offer.constraints)
        or _terms_excess("duty", DUTIES, given.duties, offer.duties)
    )


def grant_excess(grant: Grant, offer: Terms, recipient: Did, now: datetime) -> Exceeds | None:
    """What keeps `grant` from covering `offer` for `recipient` now; None if it is covered."""
    if grant.state is not GrantState.ACTIVE or now >= grant.terms.valid_until:
        return _exceeds("state", [grant.state.value], [GrantState.ACTIVE.value])
    if grant.grantee != recipient:
        return _exceeds("recipient", [grant.grantee], [recipient])
    return excess(grant.terms, offer)


def _exceeds(dimension: str, given: Iterable[str], asked: Iterable[str]) -> Exceeds:
    return Exceeds(dimension, ", ".join(given), ", ".join(asked))


def _budget_excess(given: Budget, asked: Budget) -> Exceeds | None:
    for name in ("epsilon_micro", "rounds", "exact_rounds", "reads", "commands"):
        if getattr(asked, name) > getattr(given, name):
            return _exceeds(f"budget:{name}", [str(getattr(given, name))], [str(getattr(asked, name))])
    if asked.epsilon_micro and asked.delta_log10 > given.delta_log10:
        return _exceeds("budget:delta_log10", [str(given.delta_log10)], [str(asked.delta_log10)])
    return None


def _terms_excess(
    what: str, shapes: Mapping[str, Shape], given: Iterable[Term], asked: Iterable[Term]
) -> Exceeds | None:
    """Each term of the grant is in the offer, equal or tighter. One that is not known here covers nothing."""
    offered = {term.name: term for term in asked}
    for term in given:
        found = offered.get(term.name)
        if found is None or term.name not in shapes or not tighter(shapes[term.name], found.value, term.value):
            return _exceeds(
                f"{what}:{term.name}", [term.value_json], ["nothing" if found is None else found.value_json]
            )
    return None
