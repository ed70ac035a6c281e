"""Whether one person's own model may replace the global one: decided on data neither was chosen on. learning.md 9."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from didymos_learning.errors import LearningError
from didymos_learning.vector import Wide

Verdict: TypeAlias = Literal["accepted", "rejected", "insufficient"]
BLOCKS: Final = 8
T_95_7: Final = 1.894578605061305  # Student's t, one-sided 95 %, 7 degrees of freedom
LEAST_WINDOWS: Final = 64
LEAST_GAIN: Final = 0.005  # of the global loss


@dataclass(frozen=True, slots=True)
class Decision:
    """`gain`: mean of global minus candidate loss; `bound`: its one-sided 95 % lower bound. None if insufficient."""

    verdict: Verdict
    windows: int
    gain: float | None = None
    bound: float | None = None
    global_loss: float | None = None

    @property
    def accepted(self) -> bool:
        return self.verdict == "accepted"


def decide(global_losses: Wide, candidate_losses: Wide, horizon: int) -> Decision:
    """Losses (n,) of both models on gate-b in order of time. No seed: eight equal consecutive blocks and Student's t.

    The n mod 8 oldest windows are left out. Insufficient below 64 windows, or below two horizons in a block.
    Raises LearningError `training.update_not_finite`, `training.layout_mismatched`.
    """
    if global_losses.shape != candidate_losses.shape or global_losses.ndim != 1:
        raise LearningError("training.layout_mismatched", expected=global_losses.shape, actual=candidate_losses.shape)
    count = len(global_losses)
    if count < LEAST_WINDOWS or count // BLOCKS < 2 * horizon:
        return Decision("insufficient", count)
    if not (np.isfinite(global_losses).all() and np.isfinite(candidate_losses).all()):
        raise LearningError("training.update_not_finite", detail="a loss of the gate")
    gains = (global_losses - candidate_losses)[count % BLOCKS :].reshape(BLOCKS, -1).mean(axis=1)
    gain, loss = float(gains.mean()), float(global_losses[count % BLOCKS :].mean())
    bound = gain - T_95_7 * float(gains.std(ddof=1)) / float(np.sqrt(BLOCKS))
    accepted = bound > 0.0 and gain >= LEAST_GAIN * loss
    return Decision("accepted" if accepted else "rejected", count, gain, bound, loss)
