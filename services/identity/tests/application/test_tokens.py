"""An assertion becomes a token for its key, once, for one service of this house."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from didymos_did import AccessClaims, Assertion, Did, DidError, Proof
from didymos_identity.application.exchange_token import Issuing, TokenRequest, exchange_token
from didymos_identity.application.publish_token_key import publish_token_key
from didymos_identity.domain.events import TokenKeyForgotten, TokenKeyPublished
from didymos_identity.domain.token_key import token_key
from didymos_kit.access import LocalReplays
from didymos_testing.clock import FixedClock
from didymos_testing.did import NOON, OWNER, RESEARCH, STRANGER, a_signer
from didymos_testing.identity import refusal

ORIGIN = "https://didymos.example"
ISSUER = a_signer("identity service").did
AWAY = ConnectionError("redis")


@dataclass
class Claims:
    """Keeps what it is asked to sign."""

    issued: list[AccessClaims] = field(default_factory=list)

    async def issue(self, claims: AccessClaims) -> str:
        self.issued.append(claims)
        return "token"


class AwayReplays:
    async def first(self, proof: bytes, now: int) -> bool:
        raise AWAY


def an_issuing(**changes: Any) -> Issuing:
    suspended = {STRANGER.did}
    known: dict[str, Any] = {
        "issuer": ISSUER, "origin": ORIGIN, "replays": LocalReplays(), "suspended": suspended.__contains__,
        "tokens": Claims(),
    }  # fmt: skip
    return Issuing(**{**known, **changes})


def a_request(subject: Did = OWNER.did, jkt: str = "k", **changes: Any) -> TokenRequest:
    known: dict[str, Any] = {
        "assertion": Assertion(subject, "k", "j1", 0), "proof": Proof(jkt, "p1", ""),
        "resource": f"{ORIGIN}/twin-state", "purpose": RESEARCH,
    }  # fmt: skip
    return TokenRequest(**{**known, **changes})


async def test_a_token_is_for_the_key_the_service_and_the_purpose_that_were_asked_for() -> None:
    clock, signed = FixedClock(), Claims()
    assert await exchange_token(a_request(), an_issuing(tokens=signed), "id", clock) == "token"
    now = clock.now_us() // 1_000_000
    assert signed.issued == [
        AccessClaims(ISSUER, OWNER.did, f"{ORIGIN}/twin-state", "k", now, now + 300, "id", RESEARCH)
    ]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (a_request(jkt="another"), "platform.unauthenticated"),
        (a_request(subject=STRANGER.did), "platform.unauthenticated"),
        (a_request(resource="https://elsewhere.example/twin-state"), "platform.invalid_field"),
        (a_request(resource=f"{ORIGIN}/"), "platform.invalid_field"),
        (a_request(resource=f"{ORIGIN}/site"), "platform.invalid_field"),
    ],
)
async def test_each_refusal_has_its_row_and_no_token(request_: TokenRequest, code: str) -> None:
    signed = Claims()
    assert await refusal(exchange_token(request_, an_issuing(tokens=signed), "id", FixedClock())) == code
    assert signed.issued == []


async def test_an_unknown_purpose_is_refused() -> None:
    with pytest.raises(DidError, match=r"grant\.purpose_unknown"):
        await exchange_token(a_request(purpose="world domination"), an_issuing(), "id", FixedClock())


async def test_an_assertion_is_good_for_one_token() -> None:
    issuing = an_issuing()
    await exchange_token(a_request(), issuing, "id", FixedClock())
    other_proof = a_request(proof=Proof("k", "p2", ""))
    assert await refusal(exchange_token(other_proof, issuing, "id", FixedClock())) == "auth.replayed"


async def test_without_the_memory_of_all_processes_no_token_is_given() -> None:
    issuing = an_issuing(replays=AwayReplays())
    assert await refusal(exchange_token(a_request(), issuing, "id", FixedClock())) == "auth.unavailable"


async def test_a_key_is_published_and_one_that_is_long_over_is_forgotten(bench: Any) -> None:
    signer = a_signer("token key")
    old = token_key(signer.kid, signer.public.multikey, NOON)
    await bench.do(lambda work: publish_token_key(old, work, bench.clock))
    bench.clock.advance(24 * 3600 + 1800)
    other = a_signer("another token key")
    key = token_key(other.kid, other.public.multikey, bench.clock.now())
    await bench.do(lambda work: publish_token_key(key, work, bench.clock))
    bench.clock.advance(3600)
    await bench.do(lambda work: publish_token_key(key, work, bench.clock))
    assert bench.published == [
        TokenKeyPublished(old), TokenKeyPublished(key), TokenKeyPublished(key), TokenKeyForgotten(old.kid),
    ]  # fmt: skip
