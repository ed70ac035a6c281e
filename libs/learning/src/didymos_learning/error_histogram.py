"""Errors of many subjects as one histogram that can be summed under masks, and what is read from the sum. numpy only.

Each subject counts once, however many windows it has: the shares of its errors by bin, which add up to 1. Beside them,
in the same vector, those of the naive answer. Both together are never longer than `BOUND` (L2), whatever the errors
are: that bounds what one subject can change. learning.md section 10, privacy.md section 8, ADR 138.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from didymos_learning.errors import LearningError
from didymos_learning.vector import Flat, Wide

BOUND: Final = sqrt(2.0)  # L2, of what one subject gives
LEAST_SUBJECTS: Final = 10  # privacy.md section 1: fewer are told of by nobody
ROUNDED: Final = 1e-6  # of all: a share that ends in a bin but for rounding ends there
SLACK: Final = 0.01  # of the subjects: how far rounding may move their sum


def log_edges(low: float = 0.01, high: float = 10.0, bins: int = 60) -> tuple[float, ...]:
    """`bins` + 1 edges from `low` to `high`, each the same factor (here 1.12) above the one before; three digits."""
    return tuple(float(f"{low * (high / low) ** (at / bins):.3g}") for at in range(bins + 1))


def width(edges: Sequence[float]) -> int:
    """Coordinates of the vector: a bin below the first edge, between each two, and above the last; twice."""
    return 2 * (len(edges) + 1)


def shares(found: Wide, naive: Wide, edges: Sequence[float]) -> Flat:
    """What one subject gives: the parts by bin of its absolute errors (n,) and of those (n,) of the naive answer.

    A bin holds its lower edge. Raises LearningError `training.update_not_finite`, `training.series_short` for n = 0.
    """
    if not len(found) or found.shape != naive.shape:
        raise LearningError("training.series_short", windows=len(found), detail="no error to count")
    if not (np.isfinite(found).all() and np.isfinite(naive).all()):
        raise LearningError("training.update_not_finite", detail="an error of the evaluation")
    places = [np.searchsorted(edges, np.abs(each), "right") for each in (found, naive)]
    halves = [np.bincount(each, minlength=len(edges) + 1) for each in places]
    return (np.concatenate(halves) / len(found)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Estimate:
    """`value` lies in `low`..`high`, the bin; `high` is None, and `value` the last edge, where the bin has no end."""

    value: float
    low: float
    high: float | None


@dataclass(frozen=True, slots=True)
class Spread:
    """Of absolute errors, each subject counting the same. `over`: the part above the last edge; `shares` by bin."""

    mean: Estimate
    median: Estimate
    p90: Estimate
    over: float
    shares: tuple[float, ...]


def spreads(total: Wide, subjects: int, edges: Sequence[float], weight: float | None = None) -> tuple[Spread, Spread]:
    """Of the model and of the naive answer, from the sum (width,) over `subjects`; `weight`: their number as summed.

    Raises LearningError `training.layout_mismatched` for another length, `training.update_not_finite`,
    `training.norm_exceeded` for a sum that so many subjects cannot give.
    """
    if total.shape != (width(edges),):
        raise LearningError("training.layout_mismatched", expected=width(edges), actual=total.shape)
    if not np.isfinite(total).all():
        raise LearningError("training.update_not_finite", detail="a sum of the evaluation")
    model, naive = np.split(total, 2)
    if subjects < 1 or (weight is not None and abs(weight - subjects) > SLACK * subjects):
        raise LearningError("training.norm_exceeded", detail="sites counted others than they said")
    for half in (model, naive):
        if abs(half.sum() - subjects) > SLACK * subjects or half.min() < -SLACK * subjects:
            raise LearningError("training.norm_exceeded", detail="a histogram of more or less than its subjects")
    return spread(model, edges), spread(naive, edges)


def spread(half: Wide, edges: Sequence[float]) -> Spread:
    """Of one histogram (bins,) that holds something."""
    parts = np.maximum(half, 0.0)
    parts = parts / parts.sum()
    lower, upper = np.array([0.0, *edges]), np.array([*edges, edges[-1]])
    over = float(parts[-1])
    closed = over < ROUNDED
    mean = Estimate(
        float(parts @ (lower + upper)) / 2.0, float(parts @ lower), float(parts @ upper) if closed else None
    )  # fmt: skip
    return Spread(mean, _quantile(parts, edges, 0.5), _quantile(parts, edges, 0.9), over, tuple(map(float, parts)))


def _quantile(parts: Wide, edges: Sequence[float], share: float) -> Estimate:
    """Inside its bin as if errors were spread evenly there."""
    reached = np.cumsum(parts)
    at = min(int(np.searchsorted(reached, share - ROUNDED)), len(edges))
    low = 0.0 if at == 0 else float(edges[at - 1])
    if at == len(edges):
        return Estimate(low, low, None)
    high = float(edges[at])
    before = float(reached[at] - parts[at])
    inside = min((share - before) / float(parts[at]), 1.0)
    return Estimate(low + (high - low) * inside, low, high)
