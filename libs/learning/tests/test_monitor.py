"""A served model judged by its own past."""

from dataclasses import replace

import numpy as np
import pytest
from didymos_learning import GLUCOSE_TASK, LearningError, Series, demo_spec, scale_of
from didymos_learning.engine import Engine
from didymos_learning.forecasting import Together
from didymos_learning.models import initial
from didymos_learning.monitor import Watcher, answer, past_errors, still_earns, watch
from didymos_learning.serving import ServedModel
from didymos_learning.whatif import assumed, bounds_of

SPEC = demo_spec(bytes(32))
STEP = GLUCOSE_TASK.period_s * 1_000_000


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(SPEC.model)


def a_past(count: int, noise: float = 4.0) -> Series:
    values = 120.0 + np.random.default_rng(5).normal(0, noise, count)
    return Series(np.arange(count, dtype=np.int64) * STEP, values)


def a_model(series: Series) -> ServedModel:
    """Untrained: its head is zero, so that it says "as it is"."""
    return ServedModel(initial(SPEC.model, 1), scale_of(series, GLUCOSE_TASK), None)


def test_the_past_is_forecast_as_it_was(engine: Engine) -> None:
    series = a_past(100)
    times, errors = past_errors(engine, a_model(series), series)
    assert np.allclose(errors, series.values[14:] - series.values[8:-6])
    assert (times == series.times[14:]).all()


def test_three_strange_readings_alarm_once_there_is_enough_to_compare_with(engine: Engine) -> None:
    series = a_past(1100)
    calm = watch(engine, a_model(series), series)
    jumped = series.values.copy()
    jumped[-3:] += 200.0
    strange = watch(engine, a_model(series), replace(series, values=jumped))
    few = watch(engine, a_model(series), Series(series.times[-300:], jumped[-300:]))
    assert calm.width is not None
    assert 5.0 < calm.width < 10.0  # 80 % of the difference of two readings: 1.28 * 4 * sqrt(2)
    assert not calm.alarm
    assert (strange.alarm, strange.chance) == (True, 1 / (1 + strange.compared))
    assert not few.alarm


def test_a_short_past_says_nothing(engine: Engine) -> None:
    series = a_past(30)
    said = watch(engine, a_model(series), Series(series.times[:14], series.values[:14]))
    assert (said.width, said.chance, said.alarm) == (None, None, False)


def test_a_personal_model_that_went_wrong_no_longer_earns_its_place(engine: Engine) -> None:
    series = a_past(1500)
    shared = a_model(series)
    layout = SPEC.model.layout
    params = shared.params.copy()
    layout.view(params, layout.slot("head.bias"))[0] = 1.0
    since = int(series.times[700])
    rising = series.values.copy()
    rising[:720] += 0.2 * np.arange(720)
    gone = still_earns(engine, replace(shared, params=params), shared, replace(series, values=rising), since)
    assert gone is not None
    assert gone.withdrawn_at is not None
    assert still_earns(engine, shared, shared, series, since) is None


def test_an_assumption_is_answered_with_its_support() -> None:
    series, engine = a_past(400), Together(SPEC.model)
    model, bounds = a_model(series), bounds_of(series.values)
    model = replace(model, params=engine.pack(model.params))
    near = answer(engine, model, series, assumed(series, [121.0], bounds, GLUCOSE_TASK))
    far = answer(engine, model, series, assumed(series, [bounds.high, bounds.low] * 4, bounds, GLUCOSE_TASK))
    assert near.forecast.value == 121.0
    assert near.support > 0.05 > far.support


def test_what_a_replay_left_goes_on_from_reading_to_reading() -> None:
    errors = np.random.default_rng(3).normal(0, 4, 1200)
    carried = Watcher(errors, GLUCOSE_TASK.horizon)
    before = carried.watch()
    assert before.width is not None
    assert before.compared == 1195
    for _ in range(5):
        carried.settle(300.0, before.width)
    after = carried.watch()
    assert after.width is not None
    assert after.width > before.width  # each was missed
    assert (after.alarm, after.chance) == (True, 1 / 1196)
    with pytest.raises(LearningError, match=r"training\.series_malformed"):
        carried.settle(float("nan"), 1.0)
