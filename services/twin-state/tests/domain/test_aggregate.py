"""Aggregates equal their definitions, step by step; days follow their zone; what is empty is filled as asked."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from didymos_twin_state.domain.aggregate import (
    FUNCTIONS,
    Buckets,
    Fill,
    aggregate,
    epoch_bounds,
    filled,
    zone_bounds,
)
from hypothesis import given
from hypothesis import strategies as st

HOUR_US = 3_600_000_000
BERLIN = ZoneInfo("Europe/Berlin")


def twa(rows: list[tuple[int, float]], end: int) -> float:
    """Each reading holds until the next, the last until `end`."""
    held = [until - at for (at, _), (until, _) in zip(rows, [*rows[1:], (end, 0.0)], strict=True)]
    return sum(value * time for (_, value), time in zip(rows, held, strict=True)) / (end - rows[0][0])


DEFINITION: dict[str, Callable[[list[float]], Any]] = {
    "count": len, "sum": sum, "avg": np.mean, "min": min, "max": max, "first": lambda v: v[0], "last": lambda v: v[-1],
    "stddev": np.std, **{f"p{n}": partial(np.percentile, q=n) for n in range(50, 100)},
}  # fmt: skip
rows_of_readings = st.lists(
    st.tuples(st.integers(-500, 500), st.floats(-1e6, 1e6)), max_size=60, unique_by=lambda row: row[0]
).map(sorted)


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
@given(rows_of_readings, st.integers(1, 200))
def test_each_function_is_its_definition(function: str, rows: list[tuple[int, float]], step: int) -> None:
    times, values = np.array([t for t, _ in rows], np.int64), np.array([v for _, v in rows])
    found = aggregate(times, values, epoch_bounds(-500, 501, step), function)
    buckets: dict[int, list[tuple[int, float]]] = {}
    for time, value in rows:
        buckets.setdefault(time // step * step, []).append((time, value))
    assert found.begins_us.tolist() == list(buckets)
    expected = [
        twa(each, begin + step) if function == "twa" else DEFINITION[function]([value for _, value in each])
        for begin, each in buckets.items()
    ]
    assert np.allclose(np.array(found.values, float), expected, rtol=1e-12, atol=1e-6)


def test_a_bucket_holds_its_begin_and_not_its_end() -> None:
    times = np.array([0, 59_999_999, 60_000_000], np.int64)
    assert aggregate(times, np.ones(3), epoch_bounds(0, 60_000_001, 60_000_000), "count").values == [2.0, 1.0]


def test_an_unknown_function_is_named() -> None:
    with pytest.raises(ValueError, match="unknown function 'mode'"):
        aggregate(np.array([1], np.int64), np.ones(1), epoch_bounds(0, 2, 1), "mode")


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", (2024, 3, 31), 23), ("Europe/Berlin", (2024, 10, 27), 25),
        ("Europe/Berlin", (2024, 6, 1), 24),
        ("America/Sao_Paulo", (2018, 11, 4), 23),  # there is no midnight on this day
        ("Australia/Lord_Howe", (2024, 4, 7), 24.5),
    ],
)  # fmt: skip
def test_days_have_the_hours_that_their_zone_gives_them(zone: str, day: tuple[int, int, int], hours: float) -> None:
    where = ZoneInfo(zone)
    noon = int(datetime(*day, 12, tzinfo=where).timestamp()) * 1_000_000
    begin, end = zone_bounds(noon, noon + 1, 1, where).tolist()
    assert end - begin == hours * HOUR_US
    assert datetime.fromtimestamp(begin / 1e6, UTC).astimezone(where).date().timetuple()[:3] == day


@given(st.integers(0, 4_000_000_000), st.integers(1, 60), st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "UTC"]))
def test_local_days_cover_a_span_without_a_gap(begin_s: int, days: int, zone: str) -> None:
    begin, end = begin_s * 1_000_000, (begin_s + days * 86_400) * 1_000_000
    bounds = zone_bounds(begin, end, 1, ZoneInfo(zone)).tolist()
    assert bounds[0] <= begin < bounds[1]
    assert bounds[-2] < end <= bounds[-1]
    locals_ = [datetime.fromtimestamp(at / 1e6, UTC).astimezone(ZoneInfo(zone)) for at in bounds]
    assert all((at.hour, at.minute) == (0, 0) for at in locals_)
    assert all((b.date() - a.date()).days == 1 for a, b in pairwise(locals_))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("none", [1.0, 4.0]), ("null", [None, 1.0, None, None, 4.0, None]), ("zero", [0.0, 1.0, 0.0, 0.0, 4.0, 0.0]),
        ("previous", [None, 1.0, 1.0, 1.0, 4.0, 4.0]), ("linear", [None, 1.0, 2.0, 3.0, 4.0, None]),
    ],
)  # fmt: skip
def test_steps_without_readings_get_what_was_asked_for(how: Fill, expected: list[float | None]) -> None:
    found = Buckets(np.array([10, 40], np.int64), [1.0, 4.0])
    assert filled(found, epoch_bounds(0, 60, 10), how).values == expected


@pytest.mark.parametrize("how", ["null", "zero", "previous", "linear"])
def test_nothing_at_all_is_filled_too(how: Fill) -> None:
    expected = [0.0, 0.0] if how == "zero" else [None, None]
    assert filled(Buckets(np.empty(0, np.int64), []), epoch_bounds(0, 20, 10), how).values == expected
