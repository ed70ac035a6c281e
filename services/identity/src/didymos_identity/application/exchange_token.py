"""A self-issued assertion becomes an access token, bound to the key of the caller. RFC 7523, 9449; identity.md 9."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from didymos_contracts.errors.identity import AUTH_REPLAYED, AUTH_UNAVAILABLE
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_UNAUTHENTICATED
from didymos_contracts.metrics import SERVICES
from didymos_did import AccessClaims, Assertion, Did, Proof, parse_purpose
from didymos_did.tokens import TOKEN_SECONDS
from didymos_kit.clock import Clock

from didymos_identity.application.ports import Replays, TokenIssuer

MEMBERS: Final = frozenset(SERVICES) - {"site", "other"}


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A verified assertion, the verified proof that came with it, and what the token is for.

    Without a proof (gRPC) the assertion alone says which key the token is for: stolen, it gives nobody a token of use.
    """

    assertion: Assertion
    proof: Proof | None
    resource: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Issuing:
    """Who issues, for which origin, and what it asks before: proofs seen, and who is out."""

    issuer: Did
    origin: str
    replays: Replays
    suspended: Callable[[Did], bool]
    tokens: TokenIssuer


async def exchange_token(request: TokenRequest, issuing: Issuing, token_id: str, clock: Clock) -> str:
    """The token. Each assertion is good for one.

    Raises PLATFORM_UNAUTHENTICATED, AUTH_REPLAYED, PLATFORM_INVALID_FIELD, AUTH_UNAVAILABLE, PLATFORM_UNAVAILABLE;
    DidError `grant.purpose_unknown`.
    """
    assertion = request.assertion
    if request.proof is not None and not hmac.compare_digest(assertion.jkt, request.proof.jkt):
        raise PLATFORM_UNAUTHENTICATED.problem(detail="the assertion is bound to another key than the proof")
    if issuing.suspended(assertion.subject):
        raise PLATFORM_UNAUTHENTICATED.problem(detail="this subject is suspended")
    if request.resource not in {f"{issuing.origin}/{name}" for name in MEMBERS}:
        raise PLATFORM_INVALID_FIELD.problem(pointer="/resource", detail="names no service of this house")
    purpose = str(parse_purpose(request.purpose)) if request.purpose else ""
    now = clock.now_us() // 1_000_000
    try:
        first = await issuing.replays.first(_once(assertion), now)
    except ConnectionError as error:
        raise AUTH_UNAVAILABLE.problem() from error
    if not first:
        raise AUTH_REPLAYED.problem()
    return await issuing.tokens.issue(
        AccessClaims(
            issuing.issuer, assertion.subject, request.resource, assertion.jkt, now, now + TOKEN_SECONDS, token_id,
            purpose,
        )
    )  # fmt: skip


def _once(assertion: Assertion) -> bytes:
    return sha256(f"assertion|{assertion.subject}|{assertion.jti}".encode()).digest()[:16]
