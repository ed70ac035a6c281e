"""An assumption inside its bounds is answered with how much of the past is like it."""

import numpy as np
import pytest
from didymos_learning import GLUCOSE_TASK, LearningError, Series, recent_inputs, scale_of
from didymos_learning.whatif import Bounds, assumed, bounds_of, past_inputs, support

STEP = GLUCOSE_TASK.period_s * 1_000_000


def a_past(count: int = 600) -> Series:
    random = np.random.default_rng(0)
    values = 120.0 + 30.0 * np.sin(np.arange(count) / 20.0) + random.normal(0, 2, count)
    return Series(np.arange(count, dtype=np.int64) * STEP, values)


def test_support_falls_from_the_past_itself_to_what_never_was() -> None:
    series = a_past()
    scale = scale_of(series, GLUCOSE_TASK)
    past = past_inputs(series, GLUCOSE_TASK, scale)

    def supported(*values: float) -> float:
        given = assumed(series, values, bounds_of(series.values), GLUCOSE_TASK) if values else series
        window = recent_inputs(given, GLUCOSE_TASK, scale)
        assert window is not None
        return support(window, past)

    near = [float(value) for value in series.values[-3:] + 1.0]
    assert supported(*near) > 0.05
    assert supported(65.0, 170.0, 65.0) < 0.01


def test_past_windows_cross_no_gap() -> None:
    series = a_past(100)
    times = series.times + np.where(np.arange(100) >= 50, 10 * STEP, 0)
    gapped = Series(times, series.values)
    scale = scale_of(gapped, GLUCOSE_TASK)
    assert len(past_inputs(gapped, GLUCOSE_TASK, scale)) == 2 * (50 - GLUCOSE_TASK.input + 1)


@pytest.mark.parametrize("values", [[], [1.0] * 10, [float("nan")], [-500.0], [120.0, 1e9]])
def test_assumptions_out_of_bounds_are_refused(values: list[float]) -> None:
    with pytest.raises(LearningError, match="assumption_out_of_range"):
        assumed(a_past(), values, Bounds(20.0, 600.0), GLUCOSE_TASK)
