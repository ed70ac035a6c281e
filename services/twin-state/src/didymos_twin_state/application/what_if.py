"""What the twin's model would say, had its newest readings been others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from didymos_contracts.errors.twin import FORECAST_NO_MODEL
from didymos_did import TwinId

from didymos_twin_state.application.make_forecast import NO_MODEL, Forecasting, allowed, recent
from didymos_twin_state.application.permits import Reader
from didymos_twin_state.application.predictions import NoForecastError, forecast_of
from didymos_twin_state.domain.forecast import Forecast

NOTE: Final = "associational: what usually follows such readings, not what would follow if somebody caused them"


@dataclass(frozen=True, slots=True)
class Supposed:
    """`forecast` under the assumption; `support` from 0 (unlike anything seen) to 1; values had to be `low`..`high`."""

    forecast: Forecast
    support: float
    low: float
    high: float


async def what_if(twin: TwinId, name: str, values: Sequence[float], reader: Reader, parts: Forecasting) -> Supposed:
    """The first model that can answer. Needs the right to derive the forecast.

    Raises PLATFORM_NOT_FOUND, CONSENT_STALE, FORECAST_NO_HISTORY, FORECAST_NO_MODEL, TRAINING_ASSUMPTION_OUT_OF_RANGE.
    """
    asked = await allowed(twin, name, reader, parts)
    readings = await recent(twin, name, asked.state, parts.past)
    reason, last_us = NO_MODEL, int(readings.times_us[-1])
    for model in asked.chosen:
        if model.unit not in ("", readings.unit):
            reason = "other_unit"
            continue
        try:
            fitted = await parts.predictor.fit(model, readings)
            said = await parts.predictor.what_if(fitted, readings, values)
            watching = await parts.predictor.watch(fitted, readings)
        except NoForecastError as error:
            reason = error.reason
            continue
        made = forecast_of(fitted, said.mean, last_us, readings.unit, parts.clock.now_us(), watching)
        return Supposed(replace(made, strangeness=None), said.support, said.low, said.high)
    raise FORECAST_NO_MODEL.problem(twin=twin, property=name, detail=reason)
