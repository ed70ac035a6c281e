"""REST of forecasts and of the models that serve a twin."""

from typing import Annotated, Any

from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.twin import FORECAST_NO_HISTORY, READ_TOKEN_TIMEOUT
from didymos_did import Did, TwinId
from didymos_kit.http.principal import Caller
from didymos_kit.http.problems import problems
from fastapi import APIRouter, Query

from didymos_twin_state.application.make_forecast import Forecasting, candidates, duration_text, make_forecast
from didymos_twin_state.application.read_twin import read_twin
from didymos_twin_state.domain.forecast import Served
from didymos_twin_state.entrypoints.shapes import reader_of
from didymos_twin_state.entrypoints.waiting import Arrivals, TokenHeader


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
            "personal": made.personal, "fallback": made.fallback,
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
