"""gRPC of forecasts."""

from typing import Any, TypeAlias

import grpc
from didymos.twin.v1.twin_service_pb2 import ForecastRequest, ForecastResponse
from didymos.twin.v1.twin_service_pb2_grpc import ForecastsServicer, add_ForecastsServicer_to_server
from didymos_did import Did, TwinId

from didymos_twin_state.application.make_forecast import Forecasting, make_forecast
from didymos_twin_state.entrypoints.grpc import reader

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class ForecastsRpc(ForecastsServicer):
    def __init__(self, parts: Forecasting) -> None:
        self._parts = parts

    def register(self, server: grpc.aio.Server) -> None:
        add_ForecastsServicer_to_server(self, server)

    async def Forecast(self, request: ForecastRequest, _context: Context) -> ForecastResponse:  # noqa: N802
        made = await make_forecast(TwinId(Did(request.twin)), request.property, reader(request.purpose), self._parts)
        return ForecastResponse(
            mean=made.mean, low=made.low, high=made.high, unit=made.unit, at_us=made.at_us, made_at_us=made.made_at_us,
            model_id=made.model_id, fallback=made.fallback,
        )  # fmt: skip
