"""gRPC `Market`."""

import grpc
from didymos.market.v1.market_service_pb2 import GetAgreementRequest, GetAgreementResponse
from didymos.market.v1.market_service_pb2_grpc import MarketServicer, add_MarketServicer_to_server
from didymos.market.v1.market_types_pb2 import Money
from didymos_did import Did, jcs
from didymos_kit.rpc import caller
from typing_extensions import override

from didymos_marketplace.adapters.protobuf import state_message
from didymos_marketplace.application.ports import Reads
from didymos_marketplace.application.read_market import read_agreement
from didymos_marketplace.domain.negotiation import State


class MarketRpc(MarketServicer):
    """Reads for the parties of an agreement, and for the services of this house that act under it."""

    def __init__(self, reads: Reads, services: frozenset[Did]) -> None:
        self._reads, self._services = reads, services

    def register(self, server: grpc.aio.Server) -> None:
        add_MarketServicer_to_server(self, server)

    @override
    async def GetAgreement(self, request: GetAgreementRequest, context: object) -> GetAgreementResponse:
        async with self._reads() as tables:
            held = await read_agreement(request.id, caller().did, self._services, tables)
        agreement, price = held.agreement, held.agreement.price
        return GetAgreementResponse(
            id=agreement.id, state=state_message(State.FINALIZED), provider=agreement.provider, buyer=agreement.buyer,
            terms=jcs(dict(agreement.terms)), cap=Money(asset=price.asset, minor=price.minor),
            funded=Money(asset=price.asset, minor=held.funded_minor),
        )  # fmt: skip
