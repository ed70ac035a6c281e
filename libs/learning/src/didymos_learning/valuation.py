"""What an update was worth: its dot with the validation gradient, or what the loss says without it. numpy only."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from didymos_learning.errors import LearningError
from didymos_learning.vector import Flat, weighted_mean

Utility: TypeAlias = Callable[
    [Flat], float
]  # of parameters (d,): the higher the better, e.g. minus the validation loss
Scores: TypeAlias = Mapping[str, float]


def dot_score(update: Flat, gradient: Flat) -> float:
    """<y - x, -grad L_val(x)>, in float64: how far the update went where the validation loss falls.

    Raises LearningError `training.layout_mismatched`, `training.update_not_finite`.
    """
    if update.shape != gradient.shape or update.ndim != 1:
        raise LearningError("training.layout_mismatched", expected=gradient.shape, actual=update.shape)
    score = -float(np.multiply(update, gradient, dtype=np.float64).sum())
    if not np.isfinite(score):
        raise LearningError("training.update_not_finite")
    return score


def tranche_scores(rounds: Iterable[Scores]) -> dict[str, float]:
    """Scores summed over rounds, in order; a subject whose sum is not positive gets zero (learning.md 11)."""
    sums: dict[str, float] = {}
    for scores in rounds:
        for subject, score in scores.items():
            sums[subject] = sums.get(subject, 0.0) + score
    return {subject: max(total, 0.0) for subject, total in sums.items()}


def leave_one_out(
    params: Flat, updates: Mapping[str, Flat], weights: Mapping[str, float], utility: Utility
) -> dict[str, float]:
    """For n subjects: utility with all minus utility without the one. Raises LearningError for fewer than two."""
    if len(updates) < 2:
        raise LearningError("training.cohort_too_small", count=len(updates))

    def reached(subjects: Sequence[str]) -> float:
        mean = weighted_mean((updates[s] for s in subjects), [weights[s] for s in subjects], params.size)
        return utility(params + mean)

    subjects = list(updates)
    everyone = reached(subjects)
    return {left: everyone - reached([s for s in subjects if s != left]) for left in subjects}
