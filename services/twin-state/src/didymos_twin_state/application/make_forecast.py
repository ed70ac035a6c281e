"""A forecast of one property from the twin's own model, the shared one, or, flagged as such, the last value."""

from dataclasses import dataclass, replace
from typing import Final, Protocol

from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.twin import FORECAST_NO_HISTORY, READ_TOKEN_TIMEOUT
from didymos_did import Action, Task, TwinId
from didymos_kit.clock import Clock

from didymos_twin_state.application.permits import Permits, Reader, feature
from didymos_twin_state.application.ports import Marks
from didymos_twin_state.application.predictions import (
    SPAN_US,
    Models,
    NoForecastError,
    Predictor,
    candidates,
    forecast_of,
    withdrawn_of,
)
from didymos_twin_state.application.read_history import Past
from didymos_twin_state.application.read_twin import Places, Twins, part_of
from didymos_twin_state.domain.columns import Readings
from didymos_twin_state.domain.forecast import DEFAULT_HORIZON_US, Forecast, Made, Served, naive
from didymos_twin_state.domain.twin import TwinState

NO_MODEL: Final = "no_model"


class LastForecasts(Protocol):
    async def last(self, twin: str, name: str) -> Made | None:
        """What was made last as readings came, whoever made it."""


@dataclass(frozen=True, slots=True)
class Forecasting:
    """What a forecast is made with."""

    twins: Twins
    past: Past
    models: Models
    predictor: Predictor
    made: LastForecasts
    permits: Permits
    clock: Clock


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that may be answered: of which twin, by which models in which order, how far they look."""

    state: TwinState
    chosen: list[Served]
    horizon_us: int


async def make_forecast(twin: TwinId, name: str, reader: Reader, parts: Forecasting) -> Forecast:
    """Raises PLATFORM_NOT_FOUND without the right to derive this forecast, CONSENT_STALE, FORECAST_NO_HISTORY.

    It speaks of the time one horizon after the last reading, whenever that was.
    """
    asked = await allowed(twin, name, reader, parts)
    withdrawn = withdrawn_of(asked.state, name, parts.models)
    made = await parts.made.last(twin, name)
    if made is not None and _stands(made, asked, name):
        return replace(made.forecast, withdrawn=withdrawn)
    readings = await recent(twin, name, asked.state, parts.past)
    made_at_us, reason = parts.clock.now_us(), NO_MODEL
    for model in asked.chosen:
        if model.unit not in ("", readings.unit):
            reason = "other_unit"
            continue
        try:
            fitted = await parts.predictor.fit(model, readings)
            (said,) = await parts.predictor.predict([(fitted, readings)])
            if isinstance(said, NoForecastError):
                raise said
            watching = await parts.predictor.watch(fitted, readings)
        except NoForecastError as error:
            reason = error.reason
            continue
        found = forecast_of(fitted, said, int(readings.times_us[-1]), readings.unit, made_at_us, watching)
        return replace(found, withdrawn=withdrawn)
    return replace(naive(readings, asked.horizon_us, made_at_us, reason), withdrawn=withdrawn)


async def allowed(twin: TwinId, name: str, reader: Reader, parts: Forecasting) -> Asked:
    """Raises PLATFORM_NOT_FOUND, CONSENT_STALE for whoever may not derive this forecast."""
    state = await parts.twins.state(twin)
    chosen = candidates(state, name, parts.models)
    horizon_us = chosen[0].horizon_us if chosen else DEFAULT_HORIZON_US
    parts.permits.require(reader, Action.DERIVE, twin, feature(name), forecast_task(name, horizon_us))
    if not state.exists:
        raise PLATFORM_NOT_FOUND.problem(twin=twin)
    return Asked(state, chosen, horizon_us)


def _stands(made: Made, asked: Asked, name: str) -> bool:
    """Whether it is of the newest reading, by the model that is asked first, which was watched."""
    cell = asked.state.cells.get(name)
    if cell is None or not asked.chosen or not made.watched:
        return False
    read = (made.last_us, made.last, made.forecast.unit) == (cell.observed_at_us, cell.value, cell.unit)
    return read and made.forecast.model_id == asked.chosen[0].model_id


def forecast_task(name: str, horizon_us: int) -> Task:
    """The task as grants name it."""
    return Task("forecast", feature(name), duration_text(horizon_us // 1_000_000))


def duration_text(seconds: int) -> str:
    """ISO 8601, in the largest unit that is whole: PT30M, PT1H, P1D."""
    for size, form in ((86_400, "P{}D"), (3600, "PT{}H"), (60, "PT{}M")):
        if seconds % size == 0:
            return form.format(seconds // size)
    return f"PT{seconds}S"


async def recent(twin: TwinId, name: str, state: TwinState, past: Past) -> Readings:
    """The last weeks of a property, up to all that is applied. Raises FORECAST_NO_HISTORY."""
    cell = state.cells.get(name)
    if cell is None:
        raise FORECAST_NO_HISTORY.problem(twin=twin, property=name)
    try:
        await past.wait(Places({part_of(twin): Marks(state.position, 0)}))
    except Problem as problem:
        if problem.row is not READ_TOKEN_TIMEOUT:
            raise
    end = cell.observed_at_us + 1
    readings = await past.readings(twin, name, (end - SPAN_US, end))
    if not len(readings) or readings.numbers is None:
        raise FORECAST_NO_HISTORY.problem(twin=twin, property=name)
    return readings
