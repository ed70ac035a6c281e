"""Aggregates over readings in half-open steps, from the epoch or by the days of a zone. data-path.md section 12."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np

from didymos_twin_state.domain import rollup
from didymos_twin_state.domain.columns import Numbers, Times
from didymos_twin_state.domain.rollup import DAY_US, entries_of, reduced, regrouped

PERCENTILES: Final = {f"p{percent}": percent / 100 for percent in range(50, 100)}
FUNCTIONS: Final = rollup.FUNCTIONS | PERCENTILES.keys()
MOST_STEPS: Final = 10_000
Fill: TypeAlias = Literal["none", "null", "zero", "previous", "linear"]
FILLS: Final[frozenset[str]] = frozenset({"none", "null", "zero", "previous", "linear"})


@dataclass(frozen=True, slots=True)
class Buckets:
    """m steps: begin in us, and the value of the function in each; None for a step that holds none."""

    begins_us: Times
    values: Sequence[float | None]


def epoch_bounds(begin_us: int, end_us: int, step_us: int) -> Times:
    """Where the steps that meet [begin, end) begin, counted from 1970, and where the last one ends."""
    first, last = begin_us // step_us, -(-end_us // step_us)
    return np.arange(first, max(last, first) + 1, dtype=np.int64) * step_us


def zone_bounds(begin_us: int, end_us: int, days: int, zone: ZoneInfo) -> Times:
    """As `epoch_bounds`, in steps of local days: they have 23 or 25 hours where the clock is changed."""
    epoch = date(1970, 1, 1)
    first = _local_day(begin_us, zone).toordinal() - epoch.toordinal()
    first -= first % days
    found = [_midnight_us(epoch + timedelta(first), zone)]
    while found[-1] < end_us:
        first += days
        found.append(_midnight_us(epoch + timedelta(first), zone))
    return np.array(found, np.int64)


def aggregate(times: Times, values: Numbers, bounds: Times, function: str) -> Buckets:
    """`function` of n values in the steps between `bounds`; `times` ascend. Steps without readings are left out.

    Raises ValueError for an unknown function.
    """
    if function not in FUNCTIONS:
        raise ValueError(f"unknown function {function!r}; one of {', '.join(sorted(FUNCTIONS))}")
    if function in PERCENTILES:
        return _percentile(times, values, bounds, PERCENTILES[function])
    return of_entries(regrouped(entries_of(times, values), bounds), bounds, function)


def of_entries(entries: rollup.Entries, bounds: Times, function: str) -> Buckets:
    """`function` of entries that are the steps between `bounds`."""
    ends = bounds[np.searchsorted(bounds, entries["begin"], "right")] if len(entries) else entries["begin"]
    return Buckets(entries["begin"], reduced(entries, ends, function).tolist())


def filled(found: Buckets, bounds: Times, how: Fill) -> Buckets:
    """With a value for each step between `bounds`: null, zero, the previous one, or on the line between neighbours.

    Before the first and, on a line, after the last step that holds readings there is none.
    """
    if how == "none":
        return found
    begins = bounds[:-1]
    values = np.full(len(begins), np.nan)
    at = np.searchsorted(begins, found.begins_us)
    values[at] = np.array(found.values, np.float64)
    held = np.zeros(len(begins), bool)
    held[at] = True
    if how == "zero":
        values[~held] = 0.0
        held[:] = True
    elif how == "previous" and len(at):
        latest = np.maximum.accumulate(np.where(held, np.arange(len(begins)), -1))
        held = latest >= 0
        values[held] = values[latest[held]]
    elif how == "linear" and len(at):
        held = (begins >= begins[at[0]]) & (begins <= begins[at[-1]])
        values[held] = np.interp(begins[held], begins[at], values[at])
    return Buckets(
        begins, [value if known else None for value, known in zip(values.tolist(), held.tolist(), strict=True)]
    )


@np.errstate(all="ignore")
def _percentile(times: Times, values: Numbers, bounds: Times, share: float) -> Buckets:
    """Exact: between the two nearest ranks, as numpy's `linear`."""
    ids = np.searchsorted(bounds, times, "right") - 1
    inside = (ids >= 0) & (ids < len(bounds) - 1)
    ids, values = ids[inside], values[inside]
    if not len(ids):
        return Buckets(np.empty(0, np.int64), [])
    ranked = values[np.lexsort((values, ids))]
    starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
    place = share * (np.diff(starts, append=len(ids)) - 1)
    low = np.floor(place).astype(np.int64)
    below, above = ranked[starts + low], ranked[starts + np.ceil(place).astype(np.int64)]
    return Buckets(bounds[ids[starts]], (below + (above - below) * (place - low)).tolist())


def _local_day(at_us: int, zone: ZoneInfo) -> date:
    return (datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC")) + timedelta(microseconds=at_us)).astimezone(zone).date()


def _midnight_us(day: date, zone: ZoneInfo) -> int:
    """The first moment of a local day; where the clock skips midnight, the moment that it does."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return int(midnight.timestamp()) * 1_000_000


def whole_days(step_us: int) -> int | None:
    """How many days a step has; None if it is no whole number of them."""
    return step_us // DAY_US if step_us % DAY_US == 0 else None
