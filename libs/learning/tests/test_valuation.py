"""What an update was worth."""

import numpy as np
import pytest
from didymos_learning import LearningError, dot_score, leave_one_out, tranche_scores


def flat(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_a_step_against_the_gradient_is_worth_something() -> None:
    gradient = flat(1.0, -2.0)
    assert dot_score(flat(-1.0, 2.0), gradient) == 5.0
    assert dot_score(flat(1.0, -2.0), gradient) == -5.0
    assert dot_score(flat(2.0, 1.0), gradient) == 0.0


@pytest.mark.parametrize("bad", [flat(1.0), flat(1.0, float("nan")), flat(1.0, 2.0, 3.0)])
def test_an_update_that_is_none_has_no_score(bad: np.ndarray) -> None:
    with pytest.raises(LearningError):
        dot_score(bad, flat(1.0, 2.0))


def test_a_tranche_below_zero_pays_nothing() -> None:
    assert tranche_scores([{"a": 1.0, "b": 2.0}, {"a": 0.5, "b": -3.0, "c": 1.0}]) == {"a": 1.5, "b": 0.0, "c": 1.0}


def test_leaving_the_useful_one_out_costs_most() -> None:
    goal = flat(3.0, 0.0)
    scores = leave_one_out(
        flat(0.0, 0.0),
        {"useful": flat(6.0, 0.0), "idle": flat(0.0, 0.0)},
        {"useful": 1.0, "idle": 1.0},
        lambda params: -float(np.square(params - goal).sum()),
    )
    assert scores == {"useful": 9.0, "idle": 9.0}  # the mean of both is the goal; each alone misses it by three
    with pytest.raises(LearningError, match=r"training\.cohort_too_small"):
        leave_one_out(goal, {"a": goal}, {"a": 1.0}, lambda _: 0.0)
