"""Windows never cross a gap; parts share no reading; nothing of the future is seen."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from didymos_learning import (
    ClientData,
    LearningError,
    Series,
    TaskSpec,
    Windows,
    client_data,
    recent_inputs,
    scale_of,
    validation_windows,
)
from didymos_testing.learning import PERIOD_US, SMALL_TASK, times_of, waves
from hypothesis import given
from hypothesis import strategies as st

TASKS = st.builds(lambda wide, far: replace(SMALL_TASK, input=wide, horizon=far), st.integers(2, 6), st.integers(1, 4))
STEPS = st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 1, 2, 50]), min_size=60, max_size=200)


def counted(steps: list[int]) -> Series:
    """Values tell their row."""
    times = times_of(np.array(steps, dtype=np.int64))
    return Series(times, np.arange(len(times), dtype=np.float64))


def parts(client: ClientData) -> list[Windows]:
    return [client.fit, client.gate_a, client.gate_b, client.test]


def cut(series: Series, task: TaskSpec) -> ClientData | None:
    try:
        return client_data("a", series, task)
    except LearningError:
        return None


@given(STEPS, TASKS)
def test_no_window_crosses_a_gap(steps: list[int], task: TaskSpec) -> None:
    series = counted(steps)
    client = cut(series, task)
    for windows in parts(client) if client else []:
        for last, truth in zip(windows.last.astype(int), windows.truth.astype(int), strict=True):
            rows = np.arange(last - task.input + 1, truth + 1)
            assert truth - last == task.horizon
            assert (np.diff(series.times[rows]) == PERIOD_US).all()


@given(STEPS, TASKS)
def test_every_window_without_a_gap_is_there(steps: list[int], task: TaskSpec) -> None:
    series = counted(steps)
    client = cut(series, task)
    edges = [0, *(int(share * len(series)) for share in (0.6, 0.7, 0.8)), len(series)]
    for index, windows in enumerate(parts(client) if client else []):
        rows = range(edges[index], edges[index + 1] - task.span + 1)
        whole = [row for row in rows if (np.diff(series.times[row : row + task.span]) == PERIOD_US).all()]
        assert (windows.last.astype(int) - task.input + 1).tolist() == whole


@given(STEPS, TASKS)
def test_two_parts_share_no_reading_and_lie_a_purge_gap_apart(steps: list[int], task: TaskSpec) -> None:
    client = cut(counted(steps), task)
    filled = [windows for windows in parts(client) if len(windows)] if client else []
    for before, after in pairwise(filled):
        assert after.last[0] - before.last[-1] >= task.span  # anchors
        assert after.last[0] - task.input + 1 > before.truth[-1]  # first reading after, last reading before


def test_nothing_after_the_fit_part_changes_what_training_sees() -> None:
    series = waves(1)
    changed = series.values.copy()
    changed[int(0.6 * len(series)) :] += 500.0
    one, other = client_data("a", series, SMALL_TASK), client_data("a", replace(series, values=changed), SMALL_TASK)
    assert one.scale == other.scale
    assert np.array_equal(one.fit.inputs, other.fit.inputs)
    assert np.array_equal(one.fit.targets, other.fit.targets)


def test_targets_are_the_scaled_change_from_the_last_value() -> None:
    client = client_data("a", waves(2), replace(SMALL_TASK, clock="day"))
    scale, fit = client.scale, client.fit
    np.testing.assert_allclose(fit.last + fit.targets * scale.move, fit.truth, rtol=1e-6)
    np.testing.assert_allclose(fit.inputs[:, -1, 0] * scale.spread + scale.level, fit.last, rtol=1e-5)
    np.testing.assert_allclose(fit.inputs[:, 0, 1], 0.0)
    np.testing.assert_allclose(np.square(fit.inputs[..., 2:]).sum(axis=-1), 1.0, rtol=1e-5)


def test_a_constant_series_is_not_blown_up() -> None:
    client = client_data("a", Series(times_of(np.ones(200, dtype=np.int64)), np.full(200, 100.0)), SMALL_TASK)
    assert np.isfinite(client.fit.inputs).all()
    assert not client.fit.targets.any()


def test_readings_too_close_together_are_no_neighbours() -> None:
    series = counted([1] * 200)
    times = series.times.copy()
    times[20] -= PERIOD_US * 2 // 3
    client = client_data("a", replace(series, times=times), SMALL_TASK)
    crossing = (client.fit.last >= 20) & (client.fit.last - SMALL_TASK.input + 1 < 20)
    assert not crossing.any()
    assert client.facts.gaps == 2


def test_the_newest_window_is_what_training_would_have_seen() -> None:
    series = waves(3)
    client = client_data("a", series, SMALL_TASK)
    row = int(np.flatnonzero(series.times == client.fit.anchors[-1])[0])
    until = Series(series.times[: row + 1], series.values[: row + 1])
    inputs = recent_inputs(until, SMALL_TASK, client.scale)
    assert inputs is not None
    assert np.array_equal(inputs[0], client.fit.inputs[-1])


def test_no_newest_window_after_a_gap_or_of_too_few_readings() -> None:
    scale = scale_of(waves(3), SMALL_TASK)
    assert recent_inputs(counted([1, 1, 1]), SMALL_TASK, scale) is None
    assert recent_inputs(counted([1, 1, 1, 9, 1, 1]), SMALL_TASK, scale) is None
    assert recent_inputs(counted([1, 1, 9, 1, 1, 1]), SMALL_TASK, scale) is not None  # the gap is before them


def test_validation_windows_are_those_of_all_people_one_in_a_horizon() -> None:
    people = [waves(4), waves(5)]
    both = validation_windows(people, SMALL_TASK)
    assert len(both) == sum(len(validation_windows([series], SMALL_TASK)) for series in people)
    assert np.diff(both.anchors[:50]).min() == SMALL_TASK.horizon * PERIOD_US


@pytest.mark.parametrize("readings", [0, 1, 5])
def test_a_series_without_a_window_is_refused(readings: int) -> None:
    series = counted([1] * readings)
    for use in (lambda: client_data("a", series, SMALL_TASK), lambda: scale_of(series, SMALL_TASK),
                lambda: validation_windows([series], SMALL_TASK)):  # fmt: skip
        with pytest.raises(LearningError, match=r"training\.series_short"):
            use()
