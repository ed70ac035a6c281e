"""Tables of transitions, quorum and deadlines."""

from itertools import product

import pytest
from didymos_training_orchestration.domain import round as rounds
from didymos_training_orchestration.domain import run as runs
from didymos_training_orchestration.domain.budget import Account, Booking, may_book, usage_without
from didymos_training_orchestration.domain.round import RoundState, Step, quorum, stepped, training_us
from didymos_training_orchestration.domain.run import ENDED, Move, RunState, moved

SECOND = 1_000_000


def test_every_pair_of_state_and_move_has_an_answer() -> None:
    for state, move in product(RunState, Move):
        assert isinstance(moved(state, move), RunState | runs.Refused)
    for state_, step in product(RoundState, Step):
        assert isinstance(stepped(state_, step), RoundState | rounds.Refused)


@pytest.mark.parametrize("state", [state for state in RunState if state in ENDED])
def test_nothing_leaves_an_ended_run(state: RunState) -> None:
    assert {moved(state, move) for move in Move} == {runs.Refused.OUT_OF_ORDER}


@pytest.mark.parametrize("state", [RoundState.COMMITTED, RoundState.ABORTED])
def test_nothing_leaves_an_ended_round(state: RoundState) -> None:
    assert {stepped(state, step) for step in Step} == {rounds.Refused.OUT_OF_ORDER}


def test_another_attempt_is_safe_before_vectors_only() -> None:
    assert [state for state in RoundState if stepped(state, Step.RETRY) is RoundState.OPEN] == [RoundState.OPEN]


def test_a_run_starts_only_when_it_is_ready() -> None:
    assert moved(RunState.DRAFT, Move.START) is runs.Refused.OUT_OF_ORDER
    assert moved(RunState.READY, Move.START) is RunState.RUNNING


@pytest.mark.parametrize(("asked", "surviving", "needed"), [(8, 4, 6), (8, 7, 7), (5, 4, 4), (1, 1, 1), (10, 2, 8)])
def test_a_quorum_is_three_quarters_and_never_less_than_the_run_wants(asked: int, surviving: int, needed: int) -> None:
    assert quorum(asked, surviving) == needed


def test_the_deadline_follows_the_last_five_rounds_within_its_bounds() -> None:
    assert training_us([], 600 * SECOND) == 600 * SECOND
    assert training_us([1], 600 * SECOND) == 60 * SECOND
    assert training_us([9000 * SECOND, *[60 * SECOND] * 5], 1) == 90 * SECOND
    assert training_us([9000 * SECOND], 1) == 7200 * SECOND


def test_what_was_spent_stays_spent() -> None:
    assert not any(may_book(Booking.SPENT, then) for then in Booking)
    assert [then for then in Booking if may_book(None, then)] == [Booking.RESERVED]
    assert may_book(Booking.RELEASED, Booking.RESERVED)


def test_a_round_in_flight_is_not_refused_by_its_own_reservation() -> None:
    accounts = {name: Account(name, reserved=1, spent=2) for name in ("ours", "other")}  # type: ignore[arg-type]
    usage = usage_without(accounts, ["ours"])  # type: ignore[arg-type, list-item]
    assert {name: used.exact_rounds for name, used in usage.items()} == {"ours": 2, "other": 3}
    assert accounts["ours"].usage.rounds == 3
