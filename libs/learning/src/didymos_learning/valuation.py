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


def gtg_shapley(
    params: Flat,
    updates: Mapping[str, Flat],
    weights: Mapping[str, float],
    utility: Utility,
    *,
    eps: float,
    permutations: int,
    seed: int,
) -> dict[str, float]:
    """Shapley values of n updates by guided, truncated permutations. arXiv 2109.02053, within one round.

    Of each turn of n permutations every subject leads one. Nothing is computed once a prefix is within `eps` of the
    utility of all; a round that changed the utility by no more than `eps` is worth nothing to anybody. Coalitions are
    computed once. `permutations`: the most of them; fewer where the values settle (5 % of their size in a turn).
    Raises LearningError for fewer than two subjects.
    """
    subjects = list(updates)
    if len(subjects) < 2:
        raise LearningError("training.cohort_too_small", count=len(subjects))
    known: dict[frozenset[str], float] = {frozenset(): utility(params)}

    def worth(coalition: Sequence[str]) -> float:
        name = frozenset(coalition)
        if name not in known:
            ordered = [s for s in subjects if s in name]
            mean = weighted_mean((updates[s] for s in ordered), [weights[s] for s in ordered], params.size)
            known[name] = utility(params + mean)
        return known[name]

    everyone = worth(subjects)
    sums, before = dict.fromkeys(subjects, 0.0), dict.fromkeys(subjects, 0.0)
    if abs(everyone - known[frozenset()]) <= eps:
        return sums
    chance, done = np.random.Generator(np.random.Philox(key=seed)), 0
    while done < permutations:
        rest = [s for s in subjects if s != subjects[done % len(subjects)]]
        order = [subjects[done % len(subjects)], *(rest[int(at)] for at in chance.permutation(len(rest)))]
        done += 1
        reached = known[frozenset()]
        for place, subject in enumerate(order, start=1):
            if abs(everyone - reached) <= eps:
                break
            now = worth(order[:place])
            sums[subject], reached = sums[subject] + now - reached, now
        if done % len(subjects) == 0:
            means = {subject: total / done for subject, total in sums.items()}
            moved = sum(abs(means[s] - before[s]) for s in subjects)
            if done > len(subjects) and moved <= 0.05 * sum(map(abs, means.values())):
                break
            before = means
    return {subject: total / done for subject, total in sums.items()}
