"""gRPC: acts of the steward of a twin, for its owner."""

import grpc
from didymos.steward.v1 import steward_service_pb2 as pb
from didymos.steward.v1.steward_service_pb2_grpc import StewardsServicer, add_StewardsServicer_to_server
from didymos_did import TwinId
from didymos_kit.dispatch import Dispatcher
from didymos_kit.rpc import caller
from didymos_kit.rpc.interceptors import Context

from didymos_steward.adapters.protobuf import act_message
from didymos_steward.application.list_acts import list_acts
from didymos_steward.application.ports import Owners, Work

MOST_ACTS = 1000


class StewardsRpc(StewardsServicer):
    def __init__(self, dispatch: Dispatcher[Work], owners: Owners) -> None:
        self._dispatch, self._owners = dispatch, owners

    def register(self, server: grpc.aio.Server) -> None:
        add_StewardsServicer_to_server(self, server)

    async def ListActs(self, request: pb.ListActsRequest, context: Context) -> pb.ListActsResponse:  # noqa: N802
        """Raises PLATFORM_NOT_FOUND."""
        del context
        limit, asker = min(request.limit or 100, MOST_ACTS), caller().did
        done = await self._dispatch(lambda work: list_acts(TwinId(request.twin), limit, asker, self._owners, work))
        return pb.ListActsResponse(acts=[act_message(act) for act in done.value])
