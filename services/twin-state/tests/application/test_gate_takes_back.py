"""The gate and undo: what a steward set can always be taken back, and nothing else slips through that way."""

from dataclasses import replace
from datetime import timedelta

from didymos_did import Grant, TwinId, bounds_terms
from didymos_testing.access import some_facts
from didymos_testing.clock import FixedClock
from didymos_testing.did import NOON, PERSONAL, TWIN, a_grant, a_grant_id, a_signer
from didymos_twin_state.application.gate_proposal import Proposal, Refusal, Spent, gate_proposal
from didymos_twin_state.domain.command import Command

STEWARD = a_signer("steward").did
WINDOW = (NOON - timedelta(days=1), NOON + timedelta(days=1))
BOUNDS = a_grant(grantee=STEWARD, terms=bounds_terms(["features/glucose/alarm"], (60, 100), 1, 2, PERSONAL, WINDOW))
UNDO = Proposal(
    b"u" * 16, TwinId(TWIN.did), STEWARD, "glucose/alarm", None, "mg/dL", a_grant_id(), 0, 1, takes_back=True
)
SPENT = Spent(commands=2, last_hour=1)


def gate(proposal: Proposal, grant: Grant = BOUNDS, spent: Spent = SPENT) -> Command | Refusal:
    return gate_proposal(proposal, lambda _: some_facts(grant), spent, FixedClock(NOON), None)


def test_an_undo_is_held_up_by_no_rate_and_no_budget() -> None:
    assert isinstance(gate(UNDO), Command)
    assert isinstance(gate(replace(UNDO, value=80.0)), Command)


def test_an_undo_leaves_no_bounds_and_outlives_no_grant() -> None:
    assert isinstance(gate(replace(UNDO, value=20.0)), Refusal)
    assert isinstance(gate(replace(UNDO, name="insulin/bolus")), Refusal)
    assert isinstance(gate(replace(UNDO, actor=a_signer("stranger").did)), Refusal)


def test_what_takes_nothing_back_is_judged_like_any_command() -> None:
    unspent = Spent(0, 0)
    assert isinstance(gate(replace(UNDO, takes_back=False), spent=unspent), Refusal)  # no value, no undo
    assert isinstance(gate(replace(UNDO, takes_back=False, value=80.0)), Refusal)  # its rate is reached
    assert isinstance(gate(replace(UNDO, takes_back=False, value=80.0), spent=unspent), Command)
