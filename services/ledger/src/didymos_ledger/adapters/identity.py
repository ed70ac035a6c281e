"""`Credentials` over gRPC: identity gives a grant's credential to the ledger of its house."""

from didymos.identity.v1.identity_service_pb2 import GetRequest
from didymos.identity.v1.identity_service_pb2_grpc import GrantsStub
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND, PLATFORM_UNAVAILABLE
from didymos_kit.rpc import Peer


class IdentityCredentials:
    def __init__(self, identity: Peer) -> None:
        self._grants = GrantsStub(identity.channel)

    async def credential(self, grant: str) -> bytes | None:
        try:
            answer = await self._grants.Get(GetRequest(grant_id=grant))
        except Problem as problem:
            if problem.row == PLATFORM_NOT_FOUND:
                return None
            # a refusal passes, too: a token key that is not in every tail yet must not bury a grant
            raise PLATFORM_UNAVAILABLE.problem(dependency="identity", detail=problem.row.code) from problem
        credential: bytes = answer.credential
        return credential or None
