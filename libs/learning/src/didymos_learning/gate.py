"""Whether one twin's own model may replace the global one: decided on data neither was chosen on. learning.md 9."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_learning.errors import LearningError
from didymos_learning.vector import Wide

Verdict: TypeAlias = Literal["accepted", "rejected", "insufficient"]
Units: TypeAlias = NDArray[np.int64]
BLOCKS: Final = 8
LEAST_UNITS: Final = 7  # fewer let a true gain pass too seldom: who passes then is more often lucky than better
T_95_7: Final = 1.894578605061305  # Student's t, one-sided 95 %, 7 degrees of freedom
Z_95: Final = 1.6448536269514722
LEAST_WINDOWS: Final = 64
LEAST_GAIN: Final = 0.005  # of the global loss


@dataclass(frozen=True, slots=True)
class Decision:
    """`gain`: mean of global minus candidate loss; `bound`: its one-sided 95 % lower bound. None if insufficient.

    `units`: independent pieces of evidence, of which the bound is made; 0 if insufficient.
    """

    verdict: Verdict
    windows: int
    gain: float | None = None
    bound: float | None = None
    global_loss: float | None = None
    units: int = 0

    @property
    def accepted(self) -> bool:
        return self.verdict == "accepted"


def decide(global_losses: Wide, candidate_losses: Wide, horizon: int, units: Units | None = None) -> Decision:
    """Losses (n,) of both models on gate-b in order of time. No seed: means of independent pieces, and Student's t.

    `units` (n,): of which engine, run or day each window is, where the model is for further ones. Each counts once, by
    the mean of its windows: those of one unit say little of the next (ADR 139). Insufficient below `LEAST_UNITS`.
    Without: eight equal consecutive blocks of one series; the n mod 8 oldest windows are left out. Insufficient below
    two horizons in a block. Both: below 64 windows.
    Raises LearningError `training.update_not_finite`, `training.layout_mismatched`.
    """
    if global_losses.shape != candidate_losses.shape or global_losses.ndim != 1:
        raise LearningError("training.layout_mismatched", expected=global_losses.shape, actual=candidate_losses.shape)
    count = len(global_losses)
    if units is not None and units.shape != (count,):
        raise LearningError("training.layout_mismatched", expected=(count,), actual=units.shape)
    if count < LEAST_WINDOWS or (units is None and count // BLOCKS < 2 * horizon):
        return Decision("insufficient", count)
    if units is not None and len(np.unique(units)) < LEAST_UNITS:
        return Decision("insufficient", count)
    if not (np.isfinite(global_losses).all() and np.isfinite(candidate_losses).all()):
        raise LearningError("training.update_not_finite", detail="a loss of the gate")
    gains, losses = (_means(each, units) for each in (global_losses - candidate_losses, global_losses))
    gain, loss = float(gains.mean()), float(losses.mean())
    bound = gain - student(len(gains) - 1) * float(gains.std(ddof=1)) / float(np.sqrt(len(gains)))
    accepted = bound > 0.0 and gain >= LEAST_GAIN * loss
    return Decision("accepted" if accepted else "rejected", count, gain, bound, loss, len(gains))


def _means(values: Wide, units: Units | None) -> Wide:
    """Of each unit, or of each of eight blocks."""
    if units is None:
        blocks: Wide = values[len(values) % BLOCKS :].reshape(BLOCKS, -1).mean(axis=1)
        return blocks
    _, which, sizes = np.unique(units, return_inverse=True, return_counts=True)
    means: Wide = np.bincount(which, weights=values) / sizes
    return means


def student(freedom: int) -> float:
    """Student's t, one-sided 95 %, to 1e-3 from 4 degrees of freedom on: Abramowitz and Stegun 26.7.5."""
    if freedom == BLOCKS - 1:
        return T_95_7
    z, square = Z_95, Z_95**2
    terms = (
        (square + 1.0) / 4.0,
        ((5.0 * square + 16.0) * square + 3.0) / 96.0,
        (((3.0 * square + 19.0) * square + 17.0) * square - 15.0) / 384.0,
        ((((79.0 * square + 776.0) * square + 1482.0) * square - 1920.0) * square - 945.0) / 92160.0,
    )
    return z + sum(z * term / float(freedom) ** power for power, term in enumerate(terms, start=1))
