"""Callers for tests of REST and gRPC surfaces: a house that issues tokens, and clients that prove possession."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import httpx
from didymos_did import Did, Ed25519Signer, KeyId, PublicKey
from didymos_did.tokens import AccessClaims, ProofKey, issue_token, make_proof
from didymos_kit.access import Access, LocalReplays, Replays
from didymos_kit.http.surface import surface
from didymos_kit.rpc.client import BoundToken
from didymos_kit.service import Service, Stopping
from didymos_kit.telemetry.metrics import Metrics
from fastapi import APIRouter
from starlette.applications import Starlette
from starlette.routing import Mount

from didymos_testing.clock import FixedClock
from didymos_testing.did import RESEARCH, a_signer

ORIGIN = "https://didymos.example"
SECRET = b"n" * 32
_numbers = count(1)


@dataclass
class IssuingTrust:
    """An identity service in a box: the token key that it publishes, and who is suspended."""

    signer: Ed25519Signer = field(default_factory=lambda: a_signer("identity service"))
    out: set[Did] = field(default_factory=set)
    withdrawn: bool = False

    async def arrived(self) -> None:
        """Nothing ever does."""
        await asyncio.Event().wait()

    def token_key(self, kid: KeyId) -> PublicKey | None:
        return self.signer.public if kid == self.signer.kid and not self.withdrawn else None

    def suspended(self, did: Did) -> bool:
        return did in self.out


@dataclass
class Issuer:
    """What a test needs to call a service as somebody: `issuer.caller("alice")`."""

    trust: IssuingTrust = field(default_factory=IssuingTrust)
    clock: FixedClock = field(default_factory=FixedClock)
    replays: Replays = field(default_factory=LocalReplays)
    origin: str = ORIGIN
    issuer: Did | None = None  # whose keys are waited for

    @property
    def access(self) -> Access:
        return Access(self.origin, self.trust, self.replays, SECRET, self.clock, self.issuer)

    def token(self, subject: Ed25519Signer, key: ProofKey, service: str = "twin-state", **changes: Any) -> str:  # noqa: ANN401 - claims
        now = self.clock.now_us() // 1_000_000
        said: dict[str, Any] = {
            "issuer": self.trust.signer.did, "subject": subject.did, "audience": f"{self.origin}/{service}",
            "jkt": key.jkt, "issued_at": now, "expires_at": now + 300, "jti": f"t{next(_numbers)}",
            "purpose": RESEARCH, "scope": "read",
        }  # fmt: skip
        return issue_token(AccessClaims(**{**said, **changes}), self.trust.signer)


def a_proof_key(name: str) -> ProofKey:
    return ProofKey(a_signer(f"proof {name}").sign(b"seed")[:32])


class DpopAuth(httpx.Auth):
    """Signs each request; proves again with the nonce given when asked to, as RFC 9449 section 8 wants."""

    def __init__(self, house: Issuer, name: str, service: str = "twin-state", **claims: Any) -> None:  # noqa: ANN401 - of the token
        self._issuer, self.key = house, a_proof_key(name)
        self.token = house.token(a_signer(name), self.key, service, **claims)
        self.nonce: str | None = None

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        for _ in range(2):
            self.sign(request)
            response = yield request
            fresh, self.nonce = response.headers.get("dpop-nonce") != self.nonce, response.headers.get("dpop-nonce")
            if response.status_code != 401 or not fresh or "use_dpop_nonce" not in response.headers["www-authenticate"]:
                return

    def sign(self, request: httpx.Request) -> None:
        url = self._issuer.origin + request.url.raw_path.partition(b"?")[0].decode()
        now, jti = self._issuer.clock.now_us() // 1_000_000, f"p{next(_numbers)}"
        proof = make_proof(self.key, request.method, url, now, jti, token=self.token, nonce=self.nonce)
        request.headers["authorization"], request.headers["dpop"] = f"DPoP {self.token}", proof


def an_app(*services: Service, access: Access | None = None, metrics: Metrics | None = None) -> Starlette:
    """The REST side of `services` as `didymos up` serves it, without sockets."""
    shared = metrics or Metrics()
    made = [(each.name, surface(each, access, draining=Stopping(), metrics=shared)) for each in services]
    return Starlette(routes=[Mount(f"/{name}", app) for name, app in made])


@asynccontextmanager
async def a_client(
    *routers: APIRouter, issuer: Issuer | None = None, name: str = "twin-state"
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of one service made of `routers`, at `/<name>`."""
    app = an_app(Service(name, routers), access=None if issuer is None else issuer.access)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"{ORIGIN}/{name}") as client:
        yield client


def problem_codes(answers: Sequence[httpx.Response]) -> list[tuple[int, str]]:
    """Status and code of each answer; fails for one that is no problem."""
    for answer in answers:
        if answer.headers["content-type"] != "application/problem+json":
            raise AssertionError(f"{answer.status_code} is no problem: {answer.text}")
    return [(answer.status_code, answer.json()["code"]) for answer in answers]


class IssuedTokens:
    """A token source of somebody: fresh tokens from `house`, all bound to one key."""

    def __init__(self, house: Issuer, name: str, **claims: Any) -> None:  # noqa: ANN401 - of the tokens
        self._house, self._name, self._claims = house, name, claims
        self._key = a_proof_key(name)

    async def token(self, audience: str) -> BoundToken:
        text = self._house.token(a_signer(self._name), self._key, **{"audience": audience, **self._claims})
        return BoundToken(text, self._key, self._house.clock.now() + timedelta(seconds=300))
