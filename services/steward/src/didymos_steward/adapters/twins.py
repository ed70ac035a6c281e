"""twin-state over gRPC, asked as the steward's own DID. What passes by itself is raised, what stays is "not there"."""

from didymos.twin.v1 import twin_service_pb2 as pb
from didymos.twin.v1.twin_service_pb2_grpc import ForecastsStub, TwinStateStub
from didymos_contracts.errors import Problem
from didymos_kit import log
from didymos_kit.rpc import Peer

from didymos_steward.domain.choice import View
from didymos_steward.domain.steward import Steward


class RpcTwins:
    def __init__(self, peer: Peer) -> None:
        self._forecasts, self._twins = ForecastsStub(peer.channel), TwinStateStub(peer.channel)

    async def view(self, steward: Steward) -> View | None:
        """Raises Problem with retry `later` (unavailable, stale consent); the consumer holds its partition then."""
        try:
            forecast = await self._forecasts.Forecast(
                pb.ForecastRequest(twin=steward.twin, property=steward.property, purpose=steward.purpose)
            )
            twin = await self._twins.GetTwin(pb.GetTwinRequest(twin=steward.twin, purpose=steward.purpose))
        except Problem as problem:
            if problem.row.retry == "later":
                raise
            log.get().info("steward.cannot_see", twin=steward.twin, code=problem.row.code)
            return None
        desired = next((one.value for one in twin.desired if one.property == steward.command), None)
        now = desired.number if desired is not None and desired.WhichOneof("kind") == "number" else None
        return View(forecast.mean, forecast.low, forecast.high, forecast.unit, forecast.model_id, now)
