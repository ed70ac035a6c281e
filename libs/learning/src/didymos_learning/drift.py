"""When a personal model has lost what the gate saw in it: a CUSUM on its losses against those of the shared model."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from didymos_learning.errors import LearningError
from didymos_learning.vector import Wide

SLACK: Final = 0.25  # standard deviations of a block that the personal model may be worse without a count
LIMIT: Final = 10.0  # of the sum: with equal models, one withdrawal in about 2,000 independent blocks
BOUND: Final = 3.0  # a block counts at most so many standard deviations: one bad hour withdraws nobody
LEAST: Final = 8  # blocks of reference


@dataclass(frozen=True, slots=True)
class Drift:
    """`level`: the sum now; `withdrawn_at`: index of the block that crossed the limit, None if the model may stay."""

    level: float
    withdrawn_at: int | None
    blocks: int


def drift(personal: Wide, shared: Wide, reference: float, horizon: int) -> Drift:
    """S = max(0, S + min(d / sigma, 3) - 0.25) over blocks of `horizon` windows (Page 1954); d: personal - shared.

    `personal`, `shared`: squared losses (n,) of the same windows since the gate, oldest first. `reference`: sigma,
    the standard deviation of d over blocks of gate-b (`block_spread`). Overlapping windows of one block count once.
    Raises LearningError `training.layout_mismatched`, `training.series_malformed`.
    """
    if personal.shape != shared.shape:
        raise LearningError("training.layout_mismatched", expected=len(shared), actual=len(personal))
    if not reference > 0.0 or not (np.isfinite(personal).all() and np.isfinite(shared).all()):
        raise LearningError("training.series_malformed", detail="losses are finite and sigma is positive")
    level, found = 0.0, blocks(personal - shared, horizon)
    for at, worse in enumerate(found):
        level = max(0.0, level + float(np.clip(worse / reference, -BOUND, BOUND)) - SLACK)
        if level > LIMIT:
            return Drift(level, at, len(found))
    return Drift(level, None, len(found))


def block_spread(personal: Wide, shared: Wide, horizon: int) -> float | None:
    """Sigma of `drift` from the windows of the gate, or None for fewer than `LEAST` blocks or equal models."""
    found = blocks(personal - shared, horizon)
    if len(found) < LEAST:
        return None
    return float(found.std(ddof=1)) or None


def blocks(differences: Wide, horizon: int) -> Wide:
    """Means of whole blocks of `horizon` neighbours; what is left at the end waits."""
    whole = len(differences) // horizon
    means: Wide = differences[: whole * horizon].reshape(whole, horizon).mean(axis=1)
    return means
