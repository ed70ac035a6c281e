"""gRPC `Ledger`."""

from collections.abc import AsyncIterator

import grpc
from didymos.ledger.v1.ledger_service_pb2 import (
    AppendRequest,
    AppendResponse,
    GetProofRequest,
    GetProofResponse,
    WatchCheckpointsRequest,
    WatchCheckpointsResponse,
)
from didymos.ledger.v1.ledger_service_pb2_grpc import LedgerServicer, add_LedgerServicer_to_server
from didymos_contracts.errors.platform import PLATFORM_FORBIDDEN, PLATFORM_INVALID_FIELD, PLATFORM_NOT_FOUND
from didymos_did import Did
from didymos_kit.rpc import caller
from typing_extensions import override

from didymos_ledger.adapters.protobuf import checkpoint_agreed, drafts_of, receipt_message
from didymos_ledger.application.newest import Newest
from didymos_ledger.application.ports import EntryLog
from didymos_ledger.application.prove import prove_event

MOST_WAIT_MS = 10_000


class LedgerRpc(LedgerServicer):
    """`writers`: the DIDs of this organisation that may append; everybody with a token reads."""

    def __init__(self, log: EntryLog, newest: Newest, writers: frozenset[Did]) -> None:
        self._log, self._newest, self._writers = log, newest, writers

    def register(self, server: grpc.aio.Server) -> None:
        add_LedgerServicer_to_server(self, server)

    @override
    async def Append(self, request: AppendRequest, context: object) -> AppendResponse:
        if caller().did not in self._writers:
            raise PLATFORM_FORBIDDEN.problem(detail="only services of this organisation append to its log")
        drafts, cursor = drafts_of(request)
        return receipt_message(await self._log.append(drafts, cursor))

    @override
    async def GetProof(self, request: GetProofRequest, context: object) -> GetProofResponse:
        if request.wait_ms > MOST_WAIT_MS:
            raise PLATFORM_INVALID_FIELD.problem(pointer="/wait_ms", detail=f"at most {MOST_WAIT_MS}")
        index = await self._log.find(request.event_id)
        if index is None:
            raise PLATFORM_NOT_FOUND.problem(event_id=request.event_id.hex()[:64])
        agreed = await self._newest.covering(index, request.wait_ms / 1000)
        entry, proof = await prove_event(request.event_id, self._log, agreed)
        strength = "" if agreed is None else agreed.strength
        return GetProofResponse(index=index, entry=entry.decode(), tlog_proof=proof.encode(), agreed=strength)

    @override
    async def WatchCheckpoints(
        self, request: WatchCheckpointsRequest, context: object
    ) -> AsyncIterator[WatchCheckpointsResponse]:
        async for agreed in self._newest.after(request.after_size):
            yield WatchCheckpointsResponse(checkpoint=checkpoint_agreed(agreed))
