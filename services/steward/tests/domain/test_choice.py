"""A steward acts when its owner would want it to, and never outside what the owner signed."""

from dataclasses import replace
from datetime import timedelta

from didymos_did import Bounds, GrantId, TwinId, parse_did
from didymos_steward.domain.choice import HOUR, Past, Proposal, Quiet, View, choose
from didymos_steward.domain.steward import Band, Steward
from didymos_testing.did import NOON, OWNER, PERSONAL, TWIN, a_grant_id, a_signer
from hypothesis import given
from hypothesis import strategies as st

BOUNDS = Bounds(
    a_grant_id(), TwinId(TWIN.did), a_signer("steward").did, ("features/glucose/alarm",), 60, 100, 3, 10,
    NOON + timedelta(days=1),
)  # fmt: skip
STEWARD = Steward(
    TwinId(TWIN.did), OWNER.did, "glucose/level", "glucose/alarm", Band(70, 180), a_grant_id(), PERSONAL, NOON
)
LOW = View(mean=66.4, low=55, high=78, unit="mg/dL", model="m1", desired=None)


def test_a_forecast_below_the_band_is_answered_with_a_value_inside_the_bounds() -> None:
    assert choose(STEWARD, LOW, BOUNDS, Past(), NOON) == Proposal(66.0, "forecast 66 mg/dL is below 70")


def test_a_value_is_clipped_to_what_the_owner_signed() -> None:
    high = replace(LOW, mean=250.0)
    assert choose(STEWARD, high, BOUNDS, Past(), NOON) == Proposal(100.0, "forecast 250 mg/dL is above 180")


def test_each_reason_to_do_nothing_is_told() -> None:
    assert choose(STEWARD, replace(LOW, mean=100), BOUNDS, Past(), NOON) is Quiet.INSIDE_BAND
    assert choose(STEWARD, replace(LOW, model=""), BOUNDS, Past(), NOON) is Quiet.NO_MODEL
    assert choose(STEWARD, replace(LOW, desired=67.0), BOUNDS, Past(), NOON) is Quiet.ALREADY_SET
    assert choose(STEWARD, LOW, BOUNDS, Past(refused_at=NOON - HOUR / 2), NOON) is Quiet.REFUSED_LATELY
    assert choose(STEWARD, LOW, BOUNDS, Past(last_hour=3, in_all=3), NOON) is Quiet.RATE_REACHED
    assert choose(STEWARD, LOW, BOUNDS, Past(last_hour=0, in_all=10), NOON) is Quiet.BUDGET_USED


def test_without_live_bounds_for_this_command_nothing_is_done() -> None:
    other = replace(STEWARD, command="insulin/bolus")
    assert choose(STEWARD, LOW, None, Past(), NOON) is Quiet.NO_BOUNDS
    assert choose(STEWARD, LOW, BOUNDS, Past(), BOUNDS.valid_until) is Quiet.NO_BOUNDS
    assert choose(other, LOW, BOUNDS, Past(), NOON) is Quiet.NO_BOUNDS
    another_twin = replace(BOUNDS, twin=TwinId(parse_did(OWNER.did)), grant=GrantId("urn:uuid:other"))
    assert choose(STEWARD, LOW, another_twin, Past(), NOON) is Quiet.NO_BOUNDS


@given(st.floats(-1e6, 1e6), st.integers(0, 5), st.integers(0, 12), st.none() | st.floats(-500, 500))
def test_nothing_leaves_the_bounds_whatever_is_forecast(
    mean: float, last_hour: int, in_all: int, desired: float | None
) -> None:
    view, past = replace(LOW, mean=mean, desired=desired), Past(last_hour, in_all)
    choice = choose(STEWARD, view, BOUNDS, past, NOON)
    if isinstance(choice, Proposal):
        assert BOUNDS.low <= choice.value <= BOUNDS.high
        assert last_hour < BOUNDS.hourly
        assert in_all < BOUNDS.commands
