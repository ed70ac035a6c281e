"""A forecast of one property from the twin's own model, the shared one, or, flagged as such, the last value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.twin import FORECAST_NO_HISTORY, READ_TOKEN_TIMEOUT
from didymos_did import Action, Task, TwinId
from didymos_kit.clock import Clock

from didymos_twin_state.application.permits import Permits, Reader, feature
from didymos_twin_state.application.ports import Marks
from didymos_twin_state.application.read_history import Past
from didymos_twin_state.application.read_twin import Places, Twins, part_of
from didymos_twin_state.domain.columns import Readings
from didymos_twin_state.domain.forecast import DEFAULT_HORIZON_US, Forecast, Served, Strangeness, naive
from didymos_twin_state.domain.twin import TwinState

SPAN_US: Final = 30 * 86_400_000_000  # what is read of the past: scales and bands need some weeks


class Models(Protocol):
    def shared(self, name: str) -> Sequence[Served]:
        """Shared models that forecast this property, the newest first."""

    def of(self, model_id: str) -> Served | None:
        """A registered model that was not withdrawn."""


class NoForecastError(Exception):
    """This model cannot speak of these readings; `reason` in one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Prediction:
    """The value one horizon after the last reading; `width`: half of its 80 % band, if the model knows."""

    mean: float
    width: float | None
    strangeness: Strangeness | None = None


@dataclass(frozen=True, slots=True)
class Assumed:
    """A prediction under an assumption inside `low`..`high`; `support`: how much of the past is as unusual as it."""

    prediction: Prediction
    support: float
    low: float
    high: float


class Predictor(Protocol):
    async def predict(self, model: Served, readings: Readings) -> Prediction:
        """Raises NoForecastError."""

    async def what_if(self, model: Served, readings: Readings, values: Sequence[float]) -> Assumed:
        """Had the newest readings been `values`. Raises NoForecastError, TRAINING_ASSUMPTION_OUT_OF_RANGE."""

    async def earns(self, own: Served, shared: Served, readings: Readings) -> bool:
        """Whether, since it was registered, `own` kept the gain over `shared` that it was accepted for."""


@dataclass(frozen=True, slots=True)
class Forecasting:
    """What a forecast is made with."""

    twins: Twins
    past: Past
    models: Models
    predictor: Predictor
    permits: Permits
    clock: Clock


async def make_forecast(twin: TwinId, name: str, reader: Reader, parts: Forecasting) -> Forecast:
    """Raises PLATFORM_NOT_FOUND without the right to derive this forecast, CONSENT_STALE, FORECAST_NO_HISTORY.

    It speaks of the time one horizon after the last reading, whenever that was.
    """
    chosen, horizon_us, readings = await asked(twin, name, reader, parts)
    made_at_us, reason = parts.clock.now_us(), "no_model"
    withdrawn = await _withdrawn(chosen, readings, parts.predictor)
    for model in chosen:
        if model.model_id == withdrawn:
            continue
        if model.unit not in ("", readings.unit):
            reason = "other_unit"
            continue
        try:
            found = await parts.predictor.predict(model, readings)
        except NoForecastError as error:
            reason = error.reason
            continue
        at_us = int(readings.times_us[-1]) + model.horizon_us
        low, high = (model.low, model.high) if found.width is None else (-found.width, found.width)
        return Forecast(
            found.mean, found.mean + low, found.mean + high, readings.unit, at_us, made_at_us, model.model_id,
            model.personal, strangeness=found.strangeness, withdrawn=withdrawn,
        )  # fmt: skip
    return naive(readings, horizon_us, made_at_us, reason)


async def asked(twin: TwinId, name: str, reader: Reader, parts: Forecasting) -> tuple[list[Served], int, Readings]:
    """The models to ask, how far they look (microseconds), and the past, for whoever may derive this forecast.

    Raises PLATFORM_NOT_FOUND, CONSENT_STALE, FORECAST_NO_HISTORY.
    """
    state = await parts.twins.state(twin)
    chosen = candidates(state, name, parts.models)
    horizon_us = chosen[0].horizon_us if chosen else DEFAULT_HORIZON_US
    parts.permits.require(reader, Action.DERIVE, twin, feature(name), forecast_task(name, horizon_us))
    if not state.exists:
        raise PLATFORM_NOT_FOUND.problem(twin=twin)
    readings = await _recent(twin, name, state, parts.past)
    if not len(readings) or readings.numbers is None:
        raise FORECAST_NO_HISTORY.problem(twin=twin, property=name)
    return chosen, horizon_us, readings


async def _withdrawn(chosen: Sequence[Served], readings: Readings, predictor: Predictor) -> str:
    """The twin's own model, if it lost its gain over the shared one of its run; else nothing."""
    for own in chosen:
        shared = [other for other in chosen if not other.personal and other.run == own.run]
        if own.personal and shared:
            try:
                if not await predictor.earns(own, shared[0], readings):
                    return own.model_id
            except NoForecastError:
                continue
    return ""


def candidates(state: TwinState, name: str, models: Models) -> list[Served]:
    """The twin's own model first, then the shared ones."""
    own = [models.of(attached.model_id) for attached in state.models.values()]
    found = [model for model in own if model is not None and model.name == name]
    return [*found, *models.shared(name)]


def forecast_task(name: str, horizon_us: int) -> Task:
    """The task as grants name it."""
    return Task("forecast", feature(name), duration_text(horizon_us // 1_000_000))


def duration_text(seconds: int) -> str:
    """ISO 8601, in the largest unit that is whole: PT30M, PT1H, P1D."""
    for size, form in ((86_400, "P{}D"), (3600, "PT{}H"), (60, "PT{}M")):
        if seconds % size == 0:
            return form.format(seconds // size)
    return f"PT{seconds}S"


async def _recent(twin: TwinId, name: str, state: TwinState, past: Past) -> Readings:
    """The last weeks of a property, up to all that is applied."""
    cell = state.cells.get(name)
    if cell is None:
        raise FORECAST_NO_HISTORY.problem(twin=twin, property=name)
    try:
        await past.wait(Places({part_of(twin): Marks(state.position, 0)}))
    except Problem as problem:
        if problem.row is not READ_TOKEN_TIMEOUT:
            raise
    end = cell.observed_at_us + 1
    return await past.readings(twin, name, (end - SPAN_US, end))
