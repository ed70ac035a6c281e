"""Aggregates over columns of readings: half-open steps from the epoch, one pass of numpy. data-path.md section 12."""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Times: TypeAlias = NDArray[np.int64]
Values: TypeAlias = NDArray[np.float64]

PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}
FUNCTIONS: Final = frozenset({"count", "sum", "avg", "min", "max", "first", "last", "stddev", *PERCENTILES})
MOST_STEPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Buckets:
    """m buckets that hold readings: begin in us, and the value of the function in each. Empty buckets are left out."""

    begins_us: Times
    values: Values


def aggregate(times: Times, values: Values, step_us: int, function: str) -> Buckets:
    """`function` of n values in steps of `step_us` since 1970; `times` ascend. stddev is that of the population.

    Raises ValueError for an unknown function or a step under a microsecond.
    """
    if function not in FUNCTIONS:
        raise ValueError(f"unknown function {function!r}; one of {', '.join(sorted(FUNCTIONS))}")
    if step_us < 1:
        raise ValueError("a step has at least one microsecond")
    if not len(times):
        return Buckets(np.empty(0, np.int64), np.empty(0))
    buckets = times // step_us
    starts = np.flatnonzero(np.diff(buckets, prepend=buckets[0] - 1))
    return Buckets(buckets[starts] * step_us, _reduced(values, starts, function))


def _reduced(values: Values, starts: NDArray[np.intp], function: str) -> Values:
    counts = np.diff(starts, append=len(values))
    if function == "count":
        return counts.astype(np.float64)
    if function == "sum":
        return np.add.reduceat(values, starts)
    if function == "avg":
        return np.add.reduceat(values, starts) / counts
    if function == "min":
        return np.minimum.reduceat(values, starts)
    if function == "max":
        return np.maximum.reduceat(values, starts)
    if function == "first":
        return values[starts]
    if function == "last":
        return values[starts + counts - 1]
    if function == "stddev":
        centred = values - np.repeat(np.add.reduceat(values, starts) / counts, counts)
        return np.sqrt(np.add.reduceat(centred * centred, starts) / counts)
    ends = starts + counts
    percent = PERCENTILES[function]
    return np.array([np.percentile(values[a:b], percent) for a, b in zip(starts, ends, strict=True)])
