"""Aggregates equal their definitions, bucket by bucket."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from didymos_twin_state.domain.aggregate import FUNCTIONS, aggregate
from hypothesis import given
from hypothesis import strategies as st

DEFINITION: dict[str, Callable[[list[float]], Any]] = {
    "count": len, "sum": sum, "avg": np.mean, "min": min, "max": max, "first": lambda v: v[0], "last": lambda v: v[-1],
    "stddev": np.std, "p50": np.median, "p90": lambda v: np.percentile(v, 90), "p95": lambda v: np.percentile(v, 95),
    "p99": lambda v: np.percentile(v, 99),
}  # fmt: skip


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
@given(st.lists(st.tuples(st.integers(-500, 500), st.floats(-1e6, 1e6)), max_size=60).map(sorted), st.integers(1, 200))
def test_each_function_is_its_definition(function: str, rows: list[tuple[int, float]], step: int) -> None:
    times, values = np.array([t for t, _ in rows], np.int64), np.array([v for _, v in rows])
    found = aggregate(times, values, step, function)
    buckets: dict[int, list[float]] = {}
    for time, value in rows:
        buckets.setdefault(time // step * step, []).append(value)
    assert found.begins_us.tolist() == list(buckets)
    expected = [DEFINITION[function](each) for each in buckets.values()]
    assert np.allclose(found.values, expected, rtol=1e-9, atol=1e-6)


def test_a_bucket_holds_its_begin_and_not_its_end() -> None:
    times = np.array([0, 59_999_999, 60_000_000], np.int64)
    assert aggregate(times, np.ones(3), 60_000_000, "count").values.tolist() == [2.0, 1.0]


def test_an_unknown_function_is_named() -> None:
    with pytest.raises(ValueError, match="unknown function 'mode'"):
        aggregate(np.array([1], np.int64), np.ones(1), 1, "mode")
