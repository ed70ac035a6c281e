"""Whether what a model reads has moved: the population stability index. numpy only. learning.md section 10."""

from typing import Final

import numpy as np

from didymos_learning.vector import Wide
from didymos_learning.windows import Windows

BINS: Final = 10
LEAST: Final = 50  # windows of each part: with fewer the index is mostly chance
FLOOR: Final = 1e-4  # of a share, so that an empty bin counts much and not without bound
MOVED: Final = 0.25  # by convention: above it the inputs are others than those the model was fitted on


def population_stability(before: Wide, after: Wide) -> float:
    """sum (q - p) ln(q / p) over tenths of `before` (n,), p and q the shares of `before` and `after` (m,) in each."""
    edges = np.unique(np.quantile(before, np.linspace(0.0, 1.0, BINS + 1)[1:-1]))
    shares = [
        np.maximum(np.bincount(np.searchsorted(edges, part), minlength=len(edges) + 1) / len(part), FLOOR)
        for part in (before, after)
    ]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def input_shift(fit: Windows, later: Windows, columns: int) -> float | None:
    """The largest index over the first `columns` channels of the newest row; None for fewer than `LEAST` windows."""
    if min(len(fit), len(later)) < LEAST:
        return None
    rows = ((part.inputs[:, -1, at].astype(np.float64) for part in (fit, later)) for at in range(columns))
    return max(population_stability(*pair) for pair in rows)
