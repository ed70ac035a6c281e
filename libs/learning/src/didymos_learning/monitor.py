"""What a served model's own past says of it: how wide its band must be now, how strange the newest reading is, and
whether a personal model still earns its place. Nothing is stored: all of it is replayed from the readings.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from didymos_learning.anomaly import LEAST, OF, alarms, p_values
from didymos_learning.bands import AdaptiveBand, replay
from didymos_learning.drift import Drift, block_spread, drift
from didymos_learning.engine import Engine
from didymos_learning.series import Series, Times
from didymos_learning.serving import Forecast, ServedModel, forecast
from didymos_learning.vector import Wide
from didymos_learning.whatif import past_inputs, support
from didymos_learning.windows import inputs_of

NEWEST: Final = 2000  # windows of the past that are replayed
SETTLED: Final = 200  # errors from which on the past is believed more than the gate's width
START: Final = 100  # of these only start the band


@dataclass(frozen=True, slots=True)
class Watch:
    """`width`: half of the adaptive 80 % band in the unit of the readings, None with fewer than `SETTLED` errors.

    `chance`: conformal p-value of the newest reading, None without one to compare with; `alarm`: 3 of the last 5 were
    below 0.001, which takes `compared` >= 999.
    """

    width: float | None
    chance: float | None
    alarm: bool
    compared: int


def watch(engine: Engine, model: ServedModel, recent: Series) -> Watch:
    """By the errors (unit of the readings) that `model` would have made on the newest part of `recent`."""
    _, errors = past_errors(engine, model, recent)
    width = None
    if len(errors) >= SETTLED:
        band = AdaptiveBand(errors[:START])
        replay(band, errors[START:], engine.model.task.horizon)
        width = band.width
    reference = errors[:-OF]
    if not len(reference):
        return Watch(width, None, alarm=False, compared=0)
    chances = p_values(errors[-OF:], reference)
    alarm = len(reference) >= LEAST and bool(alarms(chances)[-1])
    return Watch(width, float(chances[-1]), alarm, len(reference))


def still_earns(
    engine: Engine, personal: ServedModel, shared: ServedModel, recent: Series, since_us: int
) -> Drift | None:
    """CUSUM of the personal model's losses against the shared one's over windows whose truth came after `since_us`.

    Sigma is that of the windows before, on which the gate decided. None: too few of them, or equal models. `shared`
    must be a model of the same specification.
    """
    times, own = past_errors(engine, personal, recent)
    _, other = past_errors(engine, shared, recent)
    own, other = np.square(own / personal.scale.move), np.square(other / personal.scale.move)
    before, horizon = times <= since_us, engine.model.task.horizon
    sigma = block_spread(own[before], other[before], horizon)
    return None if sigma is None else drift(own[~before], other[~before], sigma, horizon)


@dataclass(frozen=True, slots=True)
class Answer:
    """A forecast under an assumption, and the share of past windows that are as far from theirs as the assumed one."""

    forecast: Forecast
    support: float


def answer(engine: Engine, model: ServedModel, recent: Series, assumed: Series) -> Answer:
    """What `model` says of `assumed`, which is `recent` with other values at the end (`whatif.assumed`).

    Raises LearningError `training.series_short` for a past with too few windows to compare with.
    """
    task = engine.model.task
    window = inputs_of(assumed.times[None, -task.input :], assumed.values[None, -task.input :], task, model.scale)
    near = support(window, past_inputs(recent, task, model.scale))
    return Answer(forecast(engine, model, assumed), near)


def past_errors(engine: Engine, model: ServedModel, series: Series) -> tuple[Times, Wide]:
    """When the truth of each past window came, and truth minus forecast (n,), oldest first; the newest `NEWEST`."""
    task = engine.model.task
    if len(series) < task.span:
        return np.empty(0, np.int64), np.empty(0)
    rows = np.lib.stride_tricks.sliding_window_view(np.arange(len(series)), task.span)
    spans = series.times[rows[:, -1]] - series.times[rows[:, 0]]
    whole = rows[np.abs(spans / (task.period_s * 1e6) - (task.span - 1)) < 0.5][-NEWEST:]
    if not len(whole):
        return np.empty(0, np.int64), np.empty(0)
    read, truth = whole[:, : task.input], whole[:, -1]
    inputs = inputs_of(series.times[read], series.values[read], task, model.scale)
    said = series.values[read[:, -1]] + engine.change(model.params, inputs) * model.scale.move
    return series.times[truth], series.values[truth] - said
