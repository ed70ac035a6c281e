"""What a served model's own past says of it: how wide its band must be now, how strange the newest reading is, and
whether a personal model still earns its place. Nothing is stored: all of it is replayed from the readings.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from didymos_learning.anomaly import LEAST, OF, alarms
from didymos_learning.bands import KEPT, AdaptiveBand, missed_now, replay, width_of
from didymos_learning.drift import Drift, block_spread, drift
from didymos_learning.forecasting import Changes, Together
from didymos_learning.series import Series, Times
from didymos_learning.serving import Forecast, ServedModel, forecasts
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


class Watcher:
    """What a replay of `errors` (n,), oldest first, says of a model, carried from reading to reading until the next.

    The errors that are compared with stay those of the replay (float32: 12 kB a twin); how often the band misses, and
    so its width, and the last p-values go on.
    """

    def __init__(self, errors: Wide, horizon: int) -> None:
        self._miss, self._band = 0.0, np.empty(0, np.float32)
        if len(errors) >= SETTLED:
            band = AdaptiveBand(errors[:START])
            replay(band, errors[START:], horizon)
            self._miss = band.miss
            self._band = np.sort(np.abs(errors[-KEPT:])).astype(np.float32)
        self._reference = np.sort(np.abs(errors[:-OF])).astype(np.float32)
        newest = errors[-OF:] if len(self._reference) else np.empty(0)
        self._chances = [self._chance(error) for error in newest.tolist()]

    def settle(self, error: float, width: float | None) -> None:
        """A forecast came due: its error, and the half width that was announced with it, if one was.

        Raises LearningError `training.series_malformed` for an error that is not finite; nothing changes then.
        """
        self._miss = missed_now(self._miss, error, width)
        if len(self._reference):
            self._chances = [*self._chances, self._chance(error)][-OF:]

    def watch(self) -> Watch:
        """As of the last reading."""
        width = None if not len(self._band) else width_of(self._band, self._miss)
        if not self._chances:
            return Watch(width, None, alarm=False, compared=0)
        compared = len(self._reference)
        alarm = compared >= LEAST and bool(alarms(np.array(self._chances))[-1])
        return Watch(width, self._chances[-1], alarm, compared)

    def _chance(self, error: float) -> float:
        """`p_values` of one error against the reference."""
        larger = len(self._reference) - int(np.searchsorted(self._reference, np.float32(abs(error))))
        return (1.0 + larger) / (1.0 + len(self._reference))


def watch(engine: Changes, model: ServedModel, recent: Series) -> Watch:
    """By the errors (unit of the readings) that `model` would have made on the newest part of `recent`."""
    return watcher(engine, model, recent).watch()


def watcher(engine: Changes, model: ServedModel, recent: Series) -> Watcher:
    """The same, to be carried on."""
    return Watcher(past_errors(engine, model, recent)[1], engine.model.task.horizon)


def still_earns(
    engine: Changes, personal: ServedModel, shared: ServedModel, recent: Series, since_us: int
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


def answer(together: Together, model: ServedModel, recent: Series, assumed: Series) -> Answer:
    """What `model` says of `assumed`, which is `recent` with other values at the end (`whatif.assumed`).

    Raises LearningError `training.series_short` for a past with too few windows to compare with.
    """
    task = together.model.task
    window = inputs_of(assumed.times[None, -task.input :], assumed.values[None, -task.input :], task, model.scale)
    near = support(window, past_inputs(recent, task, model.scale))
    return Answer(forecasts(together, [model], [assumed])[0], near)


def past_errors(engine: Changes, model: ServedModel, series: Series) -> tuple[Times, Wide]:
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
