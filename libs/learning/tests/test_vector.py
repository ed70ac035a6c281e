"""Flat vectors: what they refuse, and sums whose bits depend on nothing but the order."""

import tracemalloc

import numpy as np
import pytest
from didymos_learning import LearningError, clipped, flat_bytes, flat_view, norm, ordered_sum, weighted_mean
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

FLOATS = st.floats(-1e6, 1e6, width=32)


@given(arrays(np.float32, st.integers(0, 40), elements=FLOATS))
def test_a_vector_comes_back_from_its_bytes(flat: np.ndarray) -> None:
    assert np.array_equal(flat_view(flat_bytes(flat), len(flat)), flat)


@pytest.mark.parametrize("length", [0, 3, 11, 13, 16])
def test_bytes_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(LearningError) as refused:
        flat_view(bytes(length), 3)
    assert refused.value.code == "training.layout_mismatched"
    assert refused.value.values == {"expected": 12, "actual": length}


def test_a_view_is_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        flat_view(bytes(12), 3)[0] = 1.0


@given(st.lists(st.floats(1.0, 100.0), min_size=1, max_size=6), arrays(np.float32, 5, elements=FLOATS))
def test_the_mean_of_equal_updates_is_that_update(weights: list[float], update: np.ndarray) -> None:
    mean = weighted_mean([update] * len(weights), weights, 5)
    np.testing.assert_allclose(mean, update, rtol=1e-6)  # sum(w x) / sum(w) in float64 rounds


def test_a_mean_is_weighted() -> None:
    ones, fives = np.ones(2, dtype=np.float32), np.full(2, 5.0, dtype=np.float32)
    assert weighted_mean([ones, fives], [3.0, 1.0], 2).tolist() == [2.0, 2.0]


def test_a_mean_needs_no_memory_for_the_updates() -> None:
    size = 200_000
    update = np.ones(size, dtype=np.float32)
    tracemalloc.start()
    weighted_mean([update] * 10, [1.0] * 10, size)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 21 * size


def test_chunks_are_added_in_float64_in_the_order_given() -> None:
    parts = [np.array([value], dtype=np.float32) for value in (1e8, 1.0, -1e8)]
    assert ordered_sum(parts, 1).tolist() == [1.0]  # float32 would have lost the one


def test_a_part_of_another_length_is_refused() -> None:
    with pytest.raises(LearningError, match=r"training\.layout_mismatched"):
        ordered_sum([np.zeros(3, dtype=np.float32)], 4)


@given(arrays(np.float32, 7, elements=FLOATS), st.floats(0.01, 1e3))
def test_clipping_bounds_the_norm_and_keeps_the_direction(update: np.ndarray, bound: float) -> None:
    short = clipped(update, bound)
    assert norm(short) <= bound * (1.0 + 1e-6)
    assert np.array_equal(np.sign(short), np.sign(update)) or norm(short) < 1e-30 or np.abs(short).min() == 0.0
    if norm(update) <= bound:
        assert short is update


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_update_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(LearningError, match=r"training\.update_not_finite"):
        clipped(np.array([1.0, bad], dtype=np.float32), 1.0)
