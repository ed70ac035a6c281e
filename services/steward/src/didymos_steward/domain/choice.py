"""What a steward does about what it sees: one pure function, so that nothing is done that its owner did not bound."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from didymos_did import Bounds, matches

from didymos_steward.domain.steward import Steward, feature

HOUR: Final = timedelta(hours=1)
QUIET_AFTER_REFUSAL: Final = HOUR
STEP: Final = 0.1  # of the range of the bounds: a smaller change is not worth a command


@dataclass(frozen=True, slots=True)
class View:
    """What a steward saw: the forecast with its 80 % band, its model (empty: none), the value desired now."""

    mean: float
    low: float
    high: float
    unit: str
    model: str
    desired: float | None


@dataclass(frozen=True, slots=True)
class Past:
    """Acts under the same bounds: in the last hour, in all; and when one was last refused."""

    last_hour: int = 0
    in_all: int = 0
    refused_at: datetime | None = None


class Quiet(Enum):
    """Why a steward does nothing."""

    NO_BOUNDS = "no_bounds"
    NO_MODEL = "no_model"
    INSIDE_BAND = "inside_band"
    ALREADY_SET = "already_set"
    REFUSED_LATELY = "refused_lately"
    RATE_REACHED = "rate_reached"
    BUDGET_USED = "budget_used"


@dataclass(frozen=True, slots=True)
class Proposal:
    """Set the desired value to `value`, because of `reason`."""

    value: float
    reason: str


def choose(steward: Steward, view: View, bounds: Bounds | None, past: Past, now: datetime) -> Proposal | Quiet:
    """A proposal inside the bounds when the forecast leaves the band, else why not.

    The value is the forecast, rounded and clipped to the range that the owner signed.
    """
    if bounds is None or now >= bounds.valid_until or not _covers(bounds, steward):
        return Quiet.NO_BOUNDS
    if not view.model:
        return Quiet.NO_MODEL
    if steward.band.low <= view.mean <= steward.band.high:
        return Quiet.INSIDE_BAND
    value = float(min(max(round(view.mean), bounds.low), bounds.high))
    if view.desired is not None and abs(view.desired - value) <= STEP * (bounds.high - bounds.low):
        return Quiet.ALREADY_SET
    if past.refused_at is not None and now - past.refused_at < QUIET_AFTER_REFUSAL:
        return Quiet.REFUSED_LATELY
    if past.last_hour >= bounds.hourly:
        return Quiet.RATE_REACHED
    if past.in_all >= bounds.commands:
        return Quiet.BUDGET_USED
    side = "below" if view.mean < steward.band.low else "above"
    edge = steward.band.low if side == "below" else steward.band.high
    return Proposal(value, f"forecast {view.mean:.0f} {view.unit} is {side} {edge:g}")


def _covers(bounds: Bounds, steward: Steward) -> bool:
    return bounds.twin == steward.twin and any(matches(path, feature(steward.command)) for path in bounds.paths)
