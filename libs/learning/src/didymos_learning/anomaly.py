"""How strange a reading is: the conformal p-value of its forecast error, and an alarm that one spike does not raise."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from didymos_learning.errors import LearningError
from didymos_learning.vector import Wide

RARE: Final = 0.001
OF: Final = 5
STRANGE: Final = 3  # of the last `OF` readings
LEAST: Final = 999  # errors to compare with: fewer cannot give a p-value below `RARE`


def p_values(errors: Wide, reference: Wide) -> Wide:
    """(1 + #{reference at least as large}) / (1 + n) of each absolute error (m,), against n of ordinary times.

    Under exchangeability p <= a happens with chance at most a. Raises LearningError `training.series_short` without
    a reference, `training.series_malformed` for NaN and infinities.
    """
    if not len(reference):
        raise LearningError("training.series_short", detail="nothing to compare with")
    if not (np.isfinite(errors).all() and np.isfinite(reference).all()):
        raise LearningError("training.series_malformed", detail="an error that is not finite")
    ordinary = np.sort(np.abs(reference))
    larger = len(ordinary) - np.searchsorted(ordinary, np.abs(errors), side="left")
    return np.asarray((1.0 + larger) / (1.0 + len(ordinary)), dtype=np.float64)


def alarms(chances: Wide, rare: float = RARE) -> NDArray[np.bool_]:
    """(m,): whether, at each reading, at least `STRANGE` of the last `OF` p-values (m,) were below `rare`."""
    strange = np.concatenate([np.zeros(OF - 1), chances < rare])
    return np.convolve(strange, np.ones(OF), "valid") >= STRANGE - 0.5
