"""`Idempotency-Key`: a request that is sent again is answered again, not done again. IETF draft; platform.md 4, 6."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Protocol

from didymos_contracts.errors.platform import (
    PLATFORM_IDEMPOTENCY_BUSY,
    PLATFORM_IDEMPOTENCY_MISMATCH,
    PLATFORM_MALFORMED,
)
from didymos_did import Did
from starlette.requests import Request
from starlette.responses import Response

from didymos_kit.clock import Clock

HEADER: Final = "idempotency-key"
REPLAYED: Final = "idempotency-replayed"
KEPT: Final = timedelta(hours=24)
LEASE: Final = timedelta(seconds=60)  # a first request that died is not in flight for ever
_KEY: Final = re.compile(r'"([\x21\x23-\x7e]{1,128})"|([\x21\x23-\x7e]{1,128})')


@dataclass(frozen=True, slots=True)
class Claim:
    """One request under a key. The first three fields name it, `body_sha256` says what it is."""

    principal: Did
    path: str
    key: str
    body_sha256: bytes
    at: datetime

    @property
    def expires_at(self) -> datetime:
        return self.at + KEPT


@dataclass(frozen=True, slots=True)
class Answer:
    """What the first request was answered."""

    status: int
    body: bytes
    media_type: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """What a store has under a name. `answer` is None while the first request is in flight."""

    claim: Claim
    answer: Answer | None


class Answers(Protocol):
    """The store. `claim` decides for one of several at once; a held claim that expired is as if it were not there."""

    async def claim(self, claim: Claim) -> Held | None:
        """None: the name is ours now. Else what is held, unchanged; one without answer and older than LEASE is ours."""

    async def finish(self, claim: Claim, answer: Answer) -> None:
        """Keep the answer until the claim expires. Of no effect when the name meanwhile went to another claim."""

    async def release(self, claim: Claim) -> None:
        """The request failed: the name is free again, if it is still this claim's."""


_CARRIED: Final = ("location", "etag", "consistency-token")


async def idempotent(
    request: Request, principal: Did, answers: Answers, clock: Clock, work: Callable[[], Awaitable[Response]]
) -> Response:
    """`work`, or the answer that it had under the same key. Without the header: `work`. Failures are not kept.

    Raises PLATFORM_MALFORMED, PLATFORM_IDEMPOTENCY_MISMATCH, PLATFORM_IDEMPOTENCY_BUSY, and what `work` raises.
    """
    said = request.headers.getlist(HEADER)
    if not said:
        return await work()
    digest = sha256(await request.body()).digest()
    claim = Claim(principal, f"{request.method} {request.url.path}", _parse(said), digest, clock.now())
    held = await answers.claim(claim)
    if held is not None:
        return _again(claim, held)
    try:
        response = await work()
    except Exception:  # a cancelled request may have had its effect: its claim stays until the lease is over
        await answers.release(claim)
        raise
    if response.status_code >= 400:
        await answers.release(claim)
    else:
        await answers.finish(claim, _kept(response))
    return response


def _parse(said: list[str]) -> str:
    match = _KEY.fullmatch(said[0].strip()) if len(said) == 1 else None
    if match is None:
        raise PLATFORM_MALFORMED.problem(pointer="Idempotency-Key:", detail="one key of 1 to 128 visible characters")
    return match[1] or match[2]


def _again(claim: Claim, held: Held) -> Response:
    if held.claim.body_sha256 != claim.body_sha256:
        raise PLATFORM_IDEMPOTENCY_MISMATCH.problem()
    if held.answer is None:
        raise PLATFORM_IDEMPOTENCY_BUSY.problem()
    headers = {**dict(held.answer.headers), REPLAYED: "true"}
    return Response(held.answer.body, held.answer.status, headers, held.answer.media_type)


def _kept(response: Response) -> Answer:
    headers = tuple((name, response.headers[name]) for name in _CARRIED if name in response.headers)
    return Answer(response.status_code, bytes(response.body), response.headers.get("content-type", ""), headers)
