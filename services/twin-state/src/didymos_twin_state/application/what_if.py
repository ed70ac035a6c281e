"""What the twin's model would say, had its newest readings been others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from didymos_contracts.errors.twin import FORECAST_NO_MODEL
from didymos_did import TwinId

from didymos_twin_state.application.make_forecast import Forecasting, NoForecastError, asked
from didymos_twin_state.application.permits import Reader
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
    chosen, _, readings = await asked(twin, name, reader, parts)
    reason = "no_model"
    for model in chosen:
        if model.unit not in ("", readings.unit):
            reason = "other_unit"
            continue
        try:
            said = await parts.predictor.what_if(model, readings, values)
        except NoForecastError as error:
            reason = error.reason
            continue
        mean, width = said.prediction.mean, said.prediction.width
        low, high = (model.low, model.high) if width is None else (-width, width)
        made = Forecast(
            mean, mean + low, mean + high, readings.unit, int(readings.times_us[-1]) + model.horizon_us,
            parts.clock.now_us(), model.model_id, model.personal,
        )  # fmt: skip
        return Supposed(made, said.support, said.low, said.high)
    raise FORECAST_NO_MODEL.problem(twin=twin, property=name, detail=reason)
