"""Intervals that keep their promise while the world changes: adaptive conformal inference (arXiv 2106.00170)."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from didymos_learning.errors import LearningError
from didymos_learning.intervals import COVER
from didymos_learning.vector import Wide

RATE: Final = 0.01
KEPT: Final = 1000  # absolute errors that the width is a quantile of
LEAST: Final = 20  # fewer errors give no width


class AdaptiveBand:
    """Half the width of the interval around a twin's forecasts: a += 0.01 (0.2 - miss) after each forecast came due.

    The width is the (1 - a) quantile of the last `KEPT` absolute errors. `start`: errors on data the model was not
    chosen on (gate residuals), oldest first, in the unit of the readings.
    """

    def __init__(self, start: Iterable[float], cover: float = COVER, rate: float = RATE) -> None:
        self._goal, self._rate, self.miss = 1.0 - cover, rate, 1.0 - cover
        self._errors: deque[float] = deque((abs(float(error)) for error in start), maxlen=KEPT)
        if not np.isfinite(self._errors).all():
            raise LearningError("training.series_malformed", detail="an error that is not finite")
        self._ordered = sorted(self._errors)

    def __len__(self) -> int:
        return len(self._errors)

    @property
    def width(self) -> float | None:
        """Half of the interval now, in the unit of the readings; None with fewer than `LEAST` errors."""
        if len(self._errors) < LEAST:
            return None
        return width_of(self._ordered, self.miss)

    def settle(self, error: float, width: float | None) -> None:
        """A forecast came due: its error, and the half width that was announced with it, if one was.

        Raises LearningError `training.series_malformed` for an error that is not finite; nothing changes then.
        """
        self.miss = missed_now(self.miss, error, width, self._goal, self._rate)
        if len(self._errors) == KEPT:
            del self._ordered[bisect_left(self._ordered, self._errors[0])]
        self._errors.append(abs(float(error)))
        insort(self._ordered, self._errors[-1])


def width_of(ordered: Sequence[float] | NDArray[np.float32], miss: float) -> float:
    """The (1 - miss) quantile of absolute errors (n,) in ascending order, n >= 1."""
    rank = int(np.ceil((len(ordered) + 1) * (1.0 - miss)))
    return float(ordered[min(max(rank, 1), len(ordered)) - 1])


def missed_now(miss: float, error: float, width: float | None, goal: float = 1.0 - COVER, rate: float = RATE) -> float:
    """The share of misses to allow for from now on, after a forecast with half width `width` came due.

    Raises LearningError `training.series_malformed` for an error that is not finite.
    """
    if not np.isfinite(error):
        raise LearningError("training.series_malformed", detail="an error that is not finite")
    if width is None:
        return miss
    return min(max(miss + rate * (goal - (abs(error) > width)), 0.0), 1.0)


def replay(band: AdaptiveBand, errors: Wide, delay: int) -> Wide:
    """The half widths (n,) that `band` would have announced; an error is known `delay` forecasts after its own.

    NaN where it had none. `errors` (n,), oldest first; `band` ends up as after the last of them is known.
    """
    out = np.full(len(errors), np.nan)
    waiting: deque[tuple[float, float | None]] = deque()
    for at, error in enumerate(errors):
        while len(waiting) >= max(delay, 1):
            band.settle(*waiting.popleft())
        width = band.width
        out[at] = np.nan if width is None else width
        waiting.append((float(error), width))
    for settled in islice(waiting, len(waiting)):
        band.settle(*settled)
    return out
