"""What a model would say had the newest readings been others. Associational: the reading changes, not the world."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from didymos_learning.errors import LearningError
from didymos_learning.series import Series
from didymos_learning.spec import TaskSpec
from didymos_learning.vector import Wide
from didymos_learning.windows import Inputs, Scale, inputs_of

NEAREST: Final = 5  # neighbours whose mean distance says how far from all that was seen a window is
COMPARED: Final = 1000  # windows of the past that are compared with, the newest


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an assumed value may be: the values that were seen, and `MARGIN` spreads beyond."""

    low: float
    high: float


MARGIN: Final = 1.0


def bounds_of(values: Wide) -> Bounds:
    """Bounds of assumptions, from the past (n,) of a property. Raises LearningError `training.series_short`."""
    if not len(values):
        raise LearningError("training.series_short", readings=0)
    beyond = MARGIN * float(values.std())
    return Bounds(float(values.min()) - beyond, float(values.max()) + beyond)


def assumed(recent: Series, values: Sequence[float], bounds: Bounds, task: TaskSpec) -> Series:
    """`recent` with its newest readings replaced by `values`, oldest first, at their times.

    Raises LearningError `training.assumption_out_of_range` for none, more than the model reads, NaN, or out of bounds.
    """
    given = np.asarray(values, dtype=np.float64)
    if not 0 < len(given) <= min(task.input, len(recent)):
        raise LearningError("training.assumption_out_of_range", given=len(given), readings=task.input)
    if not ((given >= bounds.low) & (given <= bounds.high)).all():
        raise LearningError("training.assumption_out_of_range", low=bounds.low, high=bounds.high)
    out = recent.values.copy()
    out[len(out) - len(given) :] = given
    return replace(recent, values=out)


def past_inputs(series: Series, task: TaskSpec, scale: Scale) -> Inputs:
    """The newest `COMPARED` windows of a series without a gap (n, input, channels)."""
    rows = np.lib.stride_tricks.sliding_window_view(np.arange(len(series)), task.input)
    spans = series.times[rows[:, -1]] - series.times[rows[:, 0]]
    whole = rows[spans < (task.input - 0.5) * task.period_s * 1e6][-COMPARED:]
    return inputs_of(series.times[whole], series.values[whole], task, scale)


def support(window: Inputs, past: Inputs) -> float:
    """The share of past windows that lie as far from their neighbours as `window` (1, input, channels) from its own.

    Near 1: like what was seen; 0: farther out than anything seen. A conformal p-value with the mean distance to the
    `NEAREST` neighbours as score, value channels alone. Raises LearningError `training.series_short`.
    """
    if len(past) <= NEAREST:
        raise LearningError("training.series_short", windows=len(past))
    seen = past[:, :, :2].reshape(len(past), -1).astype(np.float64)
    asked = window[:, :, :2].reshape(1, -1).astype(np.float64)
    own = (seen * seen).sum(axis=1)
    between = own[:, None] + own[None] - 2.0 * (seen @ seen.T)
    np.fill_diagonal(between, np.inf)
    ordinary = _nearest(between)
    far = _nearest(np.square(seen - asked).sum(axis=1)[None])[0]
    return float((1 + (ordinary >= far).sum()) / (1 + len(ordinary)))


def _nearest(squared: Wide) -> Wide:
    """(m, n) squared distances to (m,): the mean distance to the nearest."""
    found = np.partition(squared, NEAREST - 1, axis=1)[:, :NEAREST]
    means: Wide = np.sqrt(np.maximum(found, 0.0)).mean(axis=1)
    return means
