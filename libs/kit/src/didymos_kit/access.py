"""Who calls: an access token bound to a key, and the proof that the caller holds that key. identity.md 9.

REST and gRPC ask the same `Guard`, one per service, because the audience of a token is one service.
"""

import asyncio
import hmac
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Protocol

from didymos_contracts.errors import Problem
from didymos_contracts.errors.identity import AUTH_REPLAYED, AUTH_UNAVAILABLE, AUTH_USE_DPOP_NONCE
from didymos_contracts.errors.platform import PLATFORM_UNAUTHENTICATED
from didymos_did import Did, DidError, KeyId, PublicKey, Purpose, parse_purpose
from didymos_did.tokens import (
    AccessClaims,
    Proof,
    ReplayCache,
    fresh_nonce,
    make_nonce,
    replay_key,
    token_kid,
    verify_proof,
    verify_token,
)

from didymos_kit.clock import Clock, from_us

HOUR_MS: Final = 3_600_000
KEY_SECONDS: Final = 1.0
MEMO: Final = 10_000  # verified tokens kept; each lives at most 300 s
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, for what: `actor` acts for `did` when both are there. `expires_at` ends a stream, too."""

    did: Did
    purpose: Purpose | None
    actor: Did | None
    scope: frozenset[str]
    expires_at: datetime

    @property
    def caller(self) -> Did:
        """The DID that holds the key: the actor, or the subject itself."""
        return self.did if self.actor is None else self.actor


class Trust(Protocol):
    """What the tail of the identity topic says of keys and subjects."""

    def token_key(self, kid: KeyId) -> PublicKey | None:
        """The key, if the identity service publishes it for tokens now."""

    def suspended(self, did: Did) -> bool:
        """Whether this subject is out."""

    async def arrived(self) -> None:
        """Return when the tail learns something more."""


class Replays(Protocol):
    """Remembers proofs for 90 s."""

    async def first(self, proof: bytes, now: int) -> bool:
        """False if `proof` was seen. Raises ConnectionError when what all processes share is away."""


class LocalReplays:
    """For one process: what `didymos up` needs, and what is left when the shared store is away."""

    def __init__(self) -> None:
        self._cache = ReplayCache()

    async def first(self, proof: bytes, now: int) -> bool:
        return self._cache.add(proof, now)


@dataclass(frozen=True, slots=True)
class Access:
    """What the guards of a process share. `secret`: 32 bytes, the same in every process that serves this origin.

    `issuer`: whose token keys are waited for, up to a second. A process of identity that starts publishes its key, and
    the first token under it may be here before the record.
    """

    origin: str
    trust: Trust
    replays: Replays
    secret: bytes
    clock: Clock
    issuer: Did | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What came with a call, header by header: each must be there once."""

    authorization: Sequence[str]
    dpop: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Known:
    """A token that was verified, under the key that did it."""

    kid: KeyId
    claims: AccessClaims


class Guard:
    """Checks calls to one service of this process."""

    def __init__(self, service: str, access: Access) -> None:
        self.service = service
        self.origin = access.origin
        self.audience = f"{access.origin}/{service}"
        self._access = access
        self._fallback = LocalReplays()
        self._memo: dict[bytes, _Known] = {}

    def nonce(self) -> str:
        """The nonce that the next proof of any caller may carry."""
        now_ms = self._access.clock.now_us() // 1000
        return make_nonce(self._hourly(now_ms // HOUR_MS), self.service, now_ms)

    async def admit(self, given: Credentials, method: str, url: str) -> Principal:
        """Who calls `method` on `url` (origin and path as configured, without query).

        Raises PLATFORM_UNAUTHENTICATED, AUTH_USE_DPOP_NONCE, AUTH_REPLAYED, AUTH_UNAVAILABLE.
        """
        now = self._access.clock.now_us() // 1_000_000
        token, proof_text = _presented(given)
        try:
            proof = verify_proof(proof_text, method, url, now, token=token)
            self._check_nonce(proof)
            await self._key_arrived(token)
            claims = self._claims(token, now)
        except DidError as error:
            raise _unauthenticated(error.detail) from error
        if not hmac.compare_digest(claims.jkt, proof.jkt):
            raise _unauthenticated("the token is bound to another key")
        for did in (claims.subject, claims.actor):
            if did is not None and self._access.trust.suspended(did):
                raise _unauthenticated("this subject is suspended")
        await self._once(proof, now, safe=method in SAFE_METHODS)
        return _principal(claims)

    async def possession(self, dpop: Sequence[str], method: str, url: str) -> Proof:
        """Whose key it is that asks, before it has a token: for the token endpoint. The proof is good once.

        Raises PLATFORM_UNAUTHENTICATED, AUTH_USE_DPOP_NONCE, AUTH_REPLAYED, AUTH_UNAVAILABLE.
        """
        if len(dpop) != 1:
            raise _unauthenticated("exactly one DPoP header is needed")
        now = self._access.clock.now_us() // 1_000_000
        try:
            proof = verify_proof(dpop[0], method, url, now)
        except DidError as error:
            raise _unauthenticated(error.detail) from error
        self._check_nonce(proof)
        await self._once(proof, now, safe=False)
        return proof

    def seconds_left(self, principal: Principal) -> float:
        """How long a stream that `principal` opened may live on."""
        return max(0.0, (principal.expires_at - self._access.clock.now()).total_seconds())

    def _check_nonce(self, proof: Proof) -> None:
        now_ms = self._access.clock.now_us() // 1000
        hour = now_ms // HOUR_MS
        for secret in (self._hourly(hour), self._hourly(hour - 1)):
            if fresh_nonce(proof.nonce, secret, self.service, now_ms):
                return
        raise AUTH_USE_DPOP_NONCE.problem()

    def _hourly(self, hour: int) -> bytes:
        """HKDF-Expand (RFC 5869) of the shared secret: one block is enough for 32 bytes."""
        return hmac.digest(self._access.secret, b"didymos/dpop-nonce/v1" + hour.to_bytes(8, "big") + b"\x01", "sha256")

    async def _key_arrived(self, token: str) -> None:
        """Wait for the key of a token that is new here. Only the issuer's: anybody may name a key of his own."""
        if sha256(token.encode()).digest() in self._memo:
            return
        kid, trust = token_kid(token), self._access.trust
        if kid.partition("#")[0] != self._access.issuer:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(KEY_SECONDS):
                while trust.token_key(kid) is None:
                    await trust.arrived()

    def _claims(self, token: str, now: int) -> AccessClaims:
        """Verified claims. The key must be published now, memo or not: a withdrawn one ends its tokens at once."""
        digest = sha256(token.encode()).digest()
        known = self._memo.get(digest)
        kid = token_kid(token) if known is None else known.kid
        key = self._access.trust.token_key(kid)
        if key is None:
            raise _unauthenticated("the token is signed by no key of this house")
        if known is not None and now < known.claims.expires_at:
            return known.claims
        claims = verify_token(token, key, self.audience, now)
        if claims.issuer != kid.partition("#")[0]:
            raise _unauthenticated("the token names another issuer than its key")
        if len(self._memo) >= MEMO:
            self._memo = {kept: said for kept, said in self._memo.items() if now < said.claims.expires_at}
        if len(self._memo) < MEMO:
            self._memo[digest] = _Known(kid, claims)
        return claims

    async def _once(self, proof: Proof, now: int, *, safe: bool) -> None:
        try:
            first = await self._access.replays.first(replay_key(proof), now)
        except ConnectionError as error:
            if not safe:
                raise AUTH_UNAVAILABLE.problem() from error
            first = await self._fallback.first(replay_key(proof), now)
        if not first:
            raise AUTH_REPLAYED.problem()


def _presented(given: Credentials) -> tuple[str, str]:
    if len(given.authorization) != 1 or len(given.dpop) != 1:
        raise _unauthenticated("exactly one Authorization and one DPoP header are needed")
    scheme, _, token = given.authorization[0].partition(" ")
    if scheme.lower() != "dpop" or not token:
        raise _unauthenticated("the scheme of Authorization is DPoP")
    return token, given.dpop[0]


def _unauthenticated(detail: str) -> Problem:
    return PLATFORM_UNAUTHENTICATED.problem(detail=detail)


def _principal(claims: AccessClaims) -> Principal:
    try:
        purpose = parse_purpose(claims.purpose) if claims.purpose else None
    except DidError as error:
        raise _unauthenticated(error.detail) from error
    until = from_us(claims.expires_at * 1_000_000)
    return Principal(claims.subject, purpose, claims.actor, frozenset(claims.scope.split()), until)
