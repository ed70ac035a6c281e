"""How good forecasts are, in the unit of the readings, and how sure we are of it over people. numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from didymos_learning.spec import derive
from didymos_learning.vector import Wide
from didymos_learning.windows import Scale, Windows

RESAMPLES = 10_000
BLOCKS = 8  # of one person, for an interval
BLOCK_RESAMPLES = 2000
AT_ONCE = 4_000_000  # draws in memory: in parts the same numbers


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % percentile bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


def errors(predicted: Wide, windows: Windows, scale: Scale) -> Wide:
    """Forecast minus truth (n,) in the unit of the readings, from the scaled change (n,) a model gives."""
    return windows.last + predicted * scale.move - windows.truth


def rmse(errors_: Wide) -> float:
    """Root mean square; NaN for no errors at all."""
    return float(np.sqrt(np.mean(np.square(errors_)))) if len(errors_) else float("nan")


def gain_interval(shared: Wide, personal: Wide, block: int, seed: bytes) -> Interval | None:
    """What one person gains: the root mean square of `shared` errors (n,) minus that of `personal` ones, and its 95 %
    percentile bootstrap over whole blocks of `block` neighbours, whose windows overlap. None for under `BLOCKS` blocks.
    """
    count = len(shared) // block
    if count < BLOCKS:
        return None
    squares = np.stack(
        [np.square(each[: count * block]).reshape(count, block).mean(axis=1) for each in (shared, personal)]
    )
    order = np.random.Generator(np.random.Philox(key=derive(seed, "gain")))
    drawn = np.sqrt(squares[:, order.integers(0, count, (BLOCK_RESAMPLES, count))].mean(axis=2))
    low, high = np.quantile(drawn[0] - drawn[1], (0.025, 0.975))
    return Interval(rmse(shared) - rmse(personal), float(low), float(high))


def last_value_errors(windows: Windows) -> Wide:
    """The errors (n,) of "it stays as it is"."""
    return windows.last - windows.truth


def bootstrap(values: Sequence[float], seed: bytes) -> Interval:
    """The mean over n people, with a percentile bootstrap over people: resampled with replacement, seeded."""
    people = np.asarray(values, dtype=np.float64)
    order = np.random.Generator(np.random.Philox(key=derive(seed, "bootstrap")))
    rows = max(1, AT_ONCE // len(people))
    means = np.concatenate([
        people[order.integers(0, len(people), (min(rows, RESAMPLES - at), len(people)))].mean(axis=1)
        for at in range(0, RESAMPLES, rows)
    ])  # fmt: skip
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(people.mean()), float(low), float(high))
