"""Rollups: what a step of one property says, in a form that merges. data-path.md 11; ADR 106.

An *entry* is a step that holds readings. Entries of neighbouring steps merge to the entry of their union, exactly but
for rounding: the spread is kept as the sum of squared distances from the mean (m2), not as a sum of squares, and the
time-weighted area only between the first and the last reading, so that no entry needs to know its neighbours.
"""

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_twin_state.domain.columns import Numbers, Times

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
STEPS: Final = (DAY_US, HOUR_US, MINUTE_US)  # that are kept, widest first
CHUNK_US: Final = {MINUTE_US: DAY_US, HOUR_US: 8 * DAY_US, DAY_US: 32 * DAY_US}  # entries of one stored row
ENTRY: Final = np.dtype([
    ("begin", "<i8"), ("count", "<i8"), ("sum", "<f8"), ("m2", "<f8"), ("low", "<f8"), ("high", "<f8"),
    ("first", "<f8"), ("last", "<f8"), ("t_first", "<i8"), ("t_last", "<i8"), ("area", "<f8"),
])  # fmt: skip
Entries: TypeAlias = NDArray[Any]
"""(n,) of ENTRY, by begin."""
FUNCTIONS: Final = frozenset({"count", "sum", "avg", "min", "max", "first", "last", "stddev", "twa"})
NONE: Final = np.empty(0, ENTRY)


def entries_of(times: Times, values: Numbers) -> Entries:
    """Each reading as an entry of its own; `times` ascend."""
    found = np.zeros(len(times), ENTRY)
    found["begin"] = found["t_first"] = found["t_last"] = times
    found["count"] = 1
    for name in ("sum", "low", "high", "first", "last"):
        found[name] = values
    return found


def rolled(entries: Entries, step_us: int) -> Entries:
    """The entries of steps of `step_us` since 1970, out of finer ones in order of time."""
    ids = entries["begin"] // step_us
    return merged(entries, ids, ids * step_us)


def regrouped(entries: Entries, bounds: Times) -> Entries:
    """The entries of the half-open steps [bounds[i], bounds[i + 1]); none of the finer ones crosses a bound."""
    at = np.searchsorted(bounds, entries["begin"], "right") - 1
    inside = (at >= 0) & (at < len(bounds) - 1)
    return merged(entries[inside], at[inside], bounds[at[inside]])


def merged(entries: Entries, ids: NDArray[Any], begins: Times) -> Entries:
    """One entry for each run of equal `ids`."""
    if not len(entries):
        return NONE
    starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
    sizes = np.diff(starts, append=len(entries))
    found = np.zeros(len(starts), ENTRY)
    with np.errstate(all="ignore"):  # a sum beyond float64 is infinite
        _merge(found, entries, starts, sizes)
    found["begin"] = begins[starts]
    return found


def _merge(found: Entries, entries: Entries, starts: NDArray[np.intp], sizes: NDArray[np.intp]) -> None:
    ends = starts + sizes - 1
    found["count"] = np.add.reduceat(entries["count"], starts)
    found["sum"] = np.add.reduceat(entries["sum"], starts)
    means = entries["sum"] / entries["count"]
    apart = means - np.repeat(found["sum"] / found["count"], sizes)
    found["m2"] = np.add.reduceat(entries["m2"] + entries["count"] * apart * apart, starts)
    found["low"] = np.minimum.reduceat(entries["low"], starts)
    found["high"] = np.maximum.reduceat(entries["high"], starts)
    found["first"], found["t_first"] = entries["first"][starts], entries["t_first"][starts]
    found["last"], found["t_last"] = entries["last"][ends], entries["t_last"][ends]
    held = np.zeros(len(entries))  # what the last value of each adds until the next begins
    held[:-1] = entries["last"][:-1] * (entries["t_first"][1:] - entries["t_last"][:-1])
    held[ends] = 0.0
    found["area"] = np.add.reduceat(entries["area"] + held, starts)


def replaced(entries: Entries, fresh: Entries, begin_us: int, end_us: int) -> Entries:
    """`entries` with those of [begin, end) given by `fresh`."""
    outside = entries[(entries["begin"] < begin_us) | (entries["begin"] >= end_us)]
    both = np.concatenate([outside, fresh])
    return both[np.argsort(both["begin"], kind="stable")]


@np.errstate(all="ignore")
def converted(entries: Entries, a: float, b: float) -> Entries:
    """The entries of the values a * x + b, for a above 0."""
    found = entries.copy()
    for name in ("low", "high", "first", "last"):
        found[name] = a * entries[name] + b
    found["sum"] = a * entries["sum"] + b * entries["count"]
    found["m2"] = a * a * entries["m2"]
    found["area"] = a * entries["area"] + b * (entries["t_last"] - entries["t_first"])
    return found


@np.errstate(all="ignore")
def reduced(entries: Entries, ends_us: Times, function: str) -> Numbers:
    """`function` of each entry; `ends_us`: where its step ends. Raises KeyError for what entries do not tell.

    `stddev` is that of the population. `twa`: each reading holds until the next one, the last until the step ends;
    what came before the first reading of the step does not count.
    """
    counts = entries["count"]
    if function == "twa":
        area = entries["area"] + entries["last"] * (ends_us - entries["t_last"])
        found: Numbers = area / (ends_us - entries["t_first"])
    elif function == "avg":
        found = entries["sum"] / counts
    elif function == "stddev":
        found = np.sqrt(entries["m2"] / counts)
    else:
        named = {"count": "count", "sum": "sum", "min": "low", "max": "high", "first": "first", "last": "last"}
        found = entries[named[function]].astype(np.float64)
    return found
