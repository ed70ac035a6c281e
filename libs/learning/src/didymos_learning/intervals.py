"""Split-conformal intervals: how wide a band must be, from errors on data the model was not chosen on."""

from typing import Final

import numpy as np

from didymos_learning.errors import LearningError
from didymos_learning.vector import Wide

COVER: Final = 0.8


def half_width(errors: Wide, cover: float = COVER) -> float:
    """The ceil((n + 1) cover)-th smallest absolute error of n: forecast +- this covers a new truth with `cover` chance.

    Raises LearningError `training.series_short` where n is too small for that.
    """
    rank = int(np.ceil((len(errors) + 1) * cover))
    if rank > len(errors):
        raise LearningError("training.series_short", windows=len(errors), detail=f"no {cover:.0%} interval of so few")
    return float(np.partition(np.abs(errors), rank - 1)[rank - 1])
