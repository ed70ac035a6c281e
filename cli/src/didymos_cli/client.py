"""Calls of one DID to one house: tokens by assertion, a fresh proof on every call, nonces, consistency tokens.

identity.md section 9 (RFC 7523, RFC 9449); platform.md 4 and architecture.md 6. A refusal is raised as the Problem that
the service answered.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import httpx
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_did import Did, ProofKey, Purpose, Signer, make_assertion, make_proof
from didymos_kit.errors import from_json
from didymos_kit.telemetry.tracing import traceparent

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_PATH: Final = "/identity/v1/oauth/token"  # noqa: S105 - a path
TOKEN_MARGIN_SECONDS: Final = 30
TIMEOUT_SECONDS: Final = 30.0
PAUSES: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 4.0)  # seconds between attempts
UNPLACED_SECONDS: Final = 15.0
NOT_YET: Final = frozenset({
    "platform.not_found", "platform.forbidden", "steward.bounds_unusable", "market.offer_exceeds_grants",
    "market.below_cohort", "grant.not_owner",
})  # fmt: skip
NONCE: Final = "dpop-nonce"
CONSISTENCY: Final = "consistency-token"


@dataclass
class Seen:
    """How far the house is known to be, by part of its log (`i3`, `c3`, `w7`, `7`).

    Shared by clients that must see each other's writes.
    """

    offsets: dict[str, int] = field(default_factory=dict)
    unplaced_until: float = 0.0  # monotonic: until then something may be on its way that no token names

    def remember(self, token: str | None) -> None:
        """Take in `3:91822,i3:88`; a lower offset of a part says nothing new."""
        for entry in (token or "").split(","):
            part, _, offset = entry.partition(":")
            if offset.isdigit():
                self.offsets[part] = max(int(offset), self.offsets.get(part, 0))

    def join(self, other: "Seen", prefixes: str = "") -> None:
        """Know what `other` knows."""
        self.remember(other.token(prefixes))
        self.unplaced_until = max(self.unplaced_until, other.unplaced_until)

    def token(self, prefixes: str = "") -> str:
        """All of it, or the parts that begin with one of `prefixes`: `ic` for identity and consent."""
        found = sorted(self.offsets.items())
        return ",".join(f"{part}:{offset}" for part, offset in found if not prefixes or part[0] in prefixes)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    expires_at: float  # monotonic


class Client:
    """`signer` calls services of the house at `origin`. One event loop; `http` is shared by clients."""

    def __init__(self, origin: str, signer: Signer, http: httpx.AsyncClient, seen: Seen, key: ProofKey) -> None:
        self.origin, self.signer, self.seen = origin, signer, seen
        self._http, self._key = http, key
        self._tokens: dict[tuple[str, str], _Token] = {}
        self._nonces: dict[str, str] = {}

    @property
    def did(self) -> Did:
        return self.signer.did

    async def get(self, path: str, *, purpose: Purpose | None = None, **params: str | int) -> Any:  # noqa: ANN401 - JSON
        return (await self.call("GET", path, purpose=purpose, params=params)).json()

    async def post(self, path: str, body: object, *, purpose: Purpose | None = None) -> Any:  # noqa: ANN401 - JSON
        answer = await self.call("POST", path, body=body, purpose=purpose)
        return answer.json() if answer.content else None

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        purpose: Purpose | None = None,
    ) -> httpx.Response:
        """`path`: `/<service>/v1/...`. Bytes go as they are, all else as JSON. Raises the Problem that is answered.

        What passes by itself is tried again for a while; a repeated POST is known by its key and done once.
        """
        sent: dict[str, Any] = {"params": params or None, "headers": dict(headers or {})}
        if method == "POST":
            sent["headers"].setdefault("idempotency-key", str(uuid4()))
        if isinstance(body, bytes):
            sent["content"] = body
            sent["headers"].setdefault("content-type", "application/json")
        elif body is not None:
            sent["json"] = body
        if self.seen.offsets:
            sent["headers"][CONSISTENCY] = self.seen.token()
        service = path.split("/", 2)[1]
        for pause in (*PAUSES, None):
            try:
                token = await self.token(service, purpose)
                return await self._proving(service, method, path, token, sent)
            except Problem as problem:
                if pause is None or not self._passes(problem):
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt answers or raises")

    def _passes(self, problem: Problem) -> bool:
        """Whether it is worth another try: the house says so, or what was written a moment ago is still on its way."""
        return problem.row.retry == "later" or (
            problem.row.code in NOT_YET and time.monotonic() < self.seen.unplaced_until
        )

    async def token(self, service: str, purpose: Purpose | None = None) -> str:
        """An access token for `<origin>/<service>`, kept until shortly before its end."""
        audience, name = f"{self.origin}/{service}", (service, purpose or "")
        kept = self._tokens.get(name)
        if kept is not None and time.monotonic() < kept.expires_at:
            return kept.text
        endpoint = self.origin + TOKEN_PATH
        form = {"grant_type": GRANT_TYPE, "resource": audience}
        if purpose is not None:
            form["purpose"] = purpose

        def fresh() -> dict[str, Any]:  # the endpoint takes each assertion once
            assertion = make_assertion(self.signer, endpoint, self._key.jkt, int(time.time()), str(uuid4()))
            return {"data": {**form, "assertion": assertion}, "headers": {}}

        answer = (await self._proving("identity", "POST", TOKEN_PATH, None, fresh)).json()
        made = _Token(answer["access_token"], time.monotonic() + answer["expires_in"] - TOKEN_MARGIN_SECONDS)
        self._tokens[name] = made
        return made.text

    def proof(self, service: str, method: str, path: str, token: str | None) -> str:
        """A proof for one call; the same one again is refused as a replay."""
        now, url = int(time.time()), self.origin + path
        return make_proof(self._key, method, url, now, str(uuid4()), token=token, nonce=self._nonces.get(service))

    async def _proving(self, service: str, method: str, path: str, token: str | None, sent: Any) -> httpx.Response:  # noqa: ANN401 - keyword arguments of httpx, or what makes them
        """Send with a proof; once more with the nonce that the service asks for."""
        for attempt in (1, 2):
            made = sent() if callable(sent) else sent
            headers = {**made["headers"], **traced(), "dpop": self.proof(service, method, path, token)}
            if token is not None:
                headers["authorization"] = f"DPoP {token}"
            answer = await self._send(method, path, {**made, "headers": headers})
            self._learn(service, answer)
            if answer.status_code < 400:
                return answer
            problem = problem_in(answer)
            if attempt == 2 or problem.row.code != "auth.use_dpop_nonce":
                raise problem
        raise AssertionError("two attempts answer or raise")

    async def _send(self, method: str, path: str, request: dict[str, Any]) -> httpx.Response:
        """Raises ConnectionError when nobody listens, PLATFORM_UNAVAILABLE when the answer does not come."""
        try:
            return await self._http.request(method, self.origin + path, **request)
        except httpx.ConnectError as error:
            raise ConnectionError(f"{self.origin} does not answer") from error
        except httpx.TransportError as error:
            raise PLATFORM_UNAVAILABLE.problem(detail=type(error).__name__) from error

    def _learn(self, service: str, answer: httpx.Response) -> None:
        if NONCE in answer.headers:
            self._nonces[service] = answer.headers[NONCE]
        self.seen.remember(answer.headers.get(CONSISTENCY))
        if answer.status_code == 202 and CONSISTENCY not in answer.headers:  # committed, its place not known yet
            self.seen.unplaced_until = time.monotonic() + UNPLACED_SECONDS


def traced() -> dict[str, str]:
    """The header that lets the house continue the trace of the current span (W3C Trace Context), if there is one."""
    found = traceparent()
    return {} if found is None else {"traceparent": found}


def problem_in(answer: httpx.Response) -> Problem:
    """The problem that an answer carries; one that is no problem+json is `platform.internal`, with its status."""
    try:
        said = answer.json()
    except ValueError:
        said = {}
    return from_json(said if isinstance(said, dict) and "code" in said else {"detail": f"status {answer.status_code}"})


def http_client() -> httpx.AsyncClient:
    """For many clients of one house: no proxy of the environment, as a house may be on this machine only."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=32)
    return httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False, follow_redirects=False)
