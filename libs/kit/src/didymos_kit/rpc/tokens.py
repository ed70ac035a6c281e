"""Tokens of a DID that holds its own key: a self-issued assertion, exchanged at identity. identity.md section 9."""

from datetime import timedelta
from secrets import token_bytes
from typing import Final

from didymos.identity.v1.identity_service_pb2 import ExchangeRequest
from didymos.identity.v1.identity_service_pb2_grpc import TokensStub
from didymos_did import Signer
from didymos_did.tokens import ProofKey, make_assertion

from didymos_kit.clock import Clock
from didymos_kit.ids import Ids
from didymos_kit.rpc.client import BoundToken, Peer

TOKEN_PATH: Final = "/identity/v1/oauth/token"  # noqa: S105 - a path
EARLY: Final = timedelta(seconds=30)


class ExchangedTokens:
    """A `TokenSource`. One ephemeral proof key for its life, one token per audience, fetched again before it ends."""

    def __init__(self, signer: Signer, identity: Peer, origin: str, clock: Clock, ids: Ids, purpose: str = "") -> None:
        """`identity`: a peer without tokens; the exchange is public."""
        self._signer, self._clock, self._ids, self._purpose = signer, clock, ids, purpose
        self._endpoint = origin + TOKEN_PATH
        self._exchange = TokensStub(identity.channel).Exchange
        self._key = ProofKey(token_bytes(32))
        self._held: dict[str, BoundToken] = {}

    async def token(self, audience: str) -> BoundToken:
        """Raises the problem of the exchange."""
        held, now = self._held.get(audience), self._clock.now()
        if held is not None and now < held.expires_at - EARLY:
            return held
        seconds, jti = self._clock.now_us() // 1_000_000, str(self._ids.uuid7())
        assertion = make_assertion(self._signer, self._endpoint, self._key.jkt, seconds, jti)
        given = await self._exchange(ExchangeRequest(assertion=assertion, resource=audience, purpose=self._purpose))
        fresh = BoundToken(given.access_token, self._key, now + timedelta(seconds=given.expires_in_seconds))
        self._held[audience] = fresh
        return fresh
