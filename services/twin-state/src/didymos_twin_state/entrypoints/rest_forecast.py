"""REST of forecasts and of the models that serve a twin."""

from dataclasses import asdict
from typing import Annotated, Any

from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.training import TRAINING_ASSUMPTION_OUT_OF_RANGE
from didymos_contracts.errors.twin import FORECAST_NO_HISTORY, FORECAST_NO_MODEL, READ_TOKEN_TIMEOUT
from didymos_did import Did, TwinId
from didymos_kit.http.body import Strict, accepts
from didymos_kit.http.principal import Caller
from didymos_kit.http.problems import problems
from fastapi import APIRouter, Query
from pydantic import Field

from didymos_twin_state.application.make_forecast import Forecasting, duration_text, make_forecast
from didymos_twin_state.application.predictions import candidates
from didymos_twin_state.application.read_twin import read_twin
from didymos_twin_state.application.what_if import NOTE, what_if
from didymos_twin_state.domain.forecast import Served
from didymos_twin_state.entrypoints.shapes import reader_of
from didymos_twin_state.entrypoints.waiting import Arrivals, TokenHeader


class Assumption(Strict):
    """`values`: what the newest readings of the property shall have been, oldest first, in its unit."""

    property: str = Field(min_length=1, max_length=256)
    values: list[float] = Field(min_length=1, max_length=1024)


def routes(parts: Forecasting, arrivals: Arrivals) -> APIRouter:
    router = APIRouter(prefix="/v1/twins", responses=problems(PLATFORM_NOT_FOUND, CONSENT_STALE, READ_TOKEN_TIMEOUT))

    @router.get("/{twin_id}/forecast", responses=problems(FORECAST_NO_HISTORY))
    async def forecast(
        twin_id: str, property: Annotated[str, Query(min_length=1, max_length=256)], caller: Caller,
        token: TokenHeader = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Mean and an 80 % band at one horizon after the last reading; `fallback` says why it is the naive one."""
        await arrivals.applied(token)
        made = await make_forecast(TwinId(Did(twin_id)), property, reader_of(caller), parts)
        return {
            "twin": twin_id, "property": property, "mean": made.mean, "low": made.low, "high": made.high,
            "unit": made.unit, "at_us": made.at_us, "made_at_us": made.made_at_us, "model": made.model_id,
            "personal": made.personal, "fallback": made.fallback, "withdrawn": made.withdrawn,
            "anomaly": None if made.strangeness is None else asdict(made.strangeness),
        }  # fmt: skip

    @router.post(
        "/{twin_id}/what-if",
        responses=problems(FORECAST_NO_HISTORY, FORECAST_NO_MODEL, TRAINING_ASSUMPTION_OUT_OF_RANGE),
    )
    @accepts(floats=True)
    async def assume(twin_id: str, body: Assumption, caller: Caller, token: TokenHeader = None) -> dict[str, Any]:
        """The forecast, had the newest readings been others; `support` says how much of the past is like that."""
        await arrivals.applied(token)
        said = await what_if(TwinId(Did(twin_id)), body.property, body.values, reader_of(caller), parts)
        made = said.forecast
        return {
            "twin": twin_id, "property": body.property, "mean": made.mean, "low": made.low, "high": made.high,
            "unit": made.unit, "at_us": made.at_us, "made_at_us": made.made_at_us, "model": made.model_id,
            "personal": made.personal, "support": said.support, "bounds": [said.low, said.high], "note": NOTE,
        }  # fmt: skip

    @router.get("/{twin_id}/models")
    async def models(twin_id: str, caller: Caller, token: TokenHeader = None) -> dict[str, Any]:
        """The models that would be asked for each property that may be seen, in the order in which they are asked."""
        await arrivals.applied(token)
        view = await read_twin(TwinId(Did(twin_id)), reader_of(caller), parts.permits, parts.twins)
        found = [model for name in sorted(view.cells) for model in candidates(view.state, name, parts.models)]
        return {"twin": twin_id, "models": [_model_json(model) for model in found]}

    return router


def _model_json(model: Served) -> dict[str, Any]:
    return {
        "model": model.model_id, "task": model.task, "property": model.name, "personal": model.personal,
        "horizon": duration_text(model.horizon_us // 1_000_000), "run": model.run, "params": model.params.hex(),
        "band": [model.low, model.high], "metrics": model.metrics,
    }  # fmt: skip
