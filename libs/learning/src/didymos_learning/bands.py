"""Intervals that keep their promise while the world changes: adaptive conformal inference (arXiv 2106.00170)."""

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Final

import numpy as np

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

    def __len__(self) -> int:
        return len(self._errors)

    @property
    def width(self) -> float | None:
        """Half of the interval now, in the unit of the readings; None with fewer than `LEAST` errors."""
        if len(self._errors) < LEAST:
            return None
        scores = np.fromiter(self._errors, dtype=np.float64)
        rank = int(np.ceil((len(scores) + 1) * (1.0 - self.miss)))
        return float(np.partition(scores, (at := min(max(rank, 1), len(scores)) - 1))[at])

    def settle(self, error: float, width: float | None) -> None:
        """A forecast came due: its error, and the half width that was announced with it, if one was.

        Raises LearningError `training.series_malformed` for an error that is not finite; nothing changes then.
        """
        if not np.isfinite(error):
            raise LearningError("training.series_malformed", detail="an error that is not finite")
        if width is not None:
            missed = abs(error) > width
            self.miss = min(max(self.miss + self._rate * (self._goal - missed), 0.0), 1.0)
        self._errors.append(abs(float(error)))


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
