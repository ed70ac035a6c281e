"""The bounds of a steward are a grant: commands to some paths, within a range, at a rate. identity.md section 6."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from didymos_did.conditions import bounds, count
from didymos_did.errors import DidError
from didymos_did.grants import Grant
from didymos_did.keys import Did, GrantId, TwinId
from didymos_did.purposes import Purpose
from didymos_did.terms import Action, Budget, Terms, make_terms


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the owner lets a steward do: `low` to `high` in the unit of the property, `hourly` commands an hour."""

    grant: GrantId
    twin: TwinId
    steward: Did
    paths: tuple[str, ...]
    low: int
    high: int
    hourly: int
    commands: int
    valid_until: datetime


def bounds_terms(
    paths: Sequence[str],
    value_range: tuple[int, int],
    hourly: int,
    commands: int,
    purpose: Purpose,
    window: tuple[datetime, datetime],
) -> Terms:
    """The terms of such a grant, for the owner to sign. `commands`: how many in all."""
    return make_terms(
        [Action.COMMAND],
        paths,
        [purpose],
        window,
        constraints={"value-range": value_range, "max-rate": hourly},
        budget=Budget(commands=commands),
    )


def bounds_of(grant: Grant) -> Bounds:
    """The bounds in a grant. Raises DidError `grant.term_malformed` if it lets command without range or rate."""
    terms = grant.terms
    span, hourly = terms.constraint("value-range"), terms.constraint("max-rate")
    within = None if span is None else bounds(span)
    rate = None if hourly is None else count(hourly)
    if Action.COMMAND not in terms.actions or within is None or rate is None:
        raise DidError("grant.term_malformed", "the bounds of a steward name command, value-range and max-rate")
    return Bounds(
        grant.id, grant.twin, grant.grantee, terms.paths, *within, rate, terms.budget.commands, terms.valid_until
    )
