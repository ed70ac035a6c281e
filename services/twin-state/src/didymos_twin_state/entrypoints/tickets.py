"""Tickets: browsers set no headers on streams, so they bring one in the query. Good once, for 30 s. data-path.md 14."""

import hmac
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from secrets import token_hex
from typing import Any, Final

from didymos_contracts.errors import Problem
from didymos_contracts.errors.identity import AUTH_REPLAYED, AUTH_UNAVAILABLE
from didymos_contracts.errors.platform import PLATFORM_UNAUTHENTICATED
from didymos_did import Did, DidError, jcs, parse_purpose, parse_strict
from didymos_did.multibase import b64u, b64u_decode
from didymos_kit.access import Access, Principal
from didymos_kit.clock import from_us, to_us

SECONDS: Final = 30
CHARACTERS: Final = 2048
_TAG: Final = 32


@dataclass(frozen=True, slots=True)
class Tickets:
    """`secret`: 32 bytes that all processes of the service share: a ticket of one opens a stream of another."""

    secret: bytes
    access: Access

    def issue(self, caller: Principal) -> str:
        """For whoever `caller` is, no longer than its token."""
        clock = self.access.clock
        until = min(clock.now() + timedelta(seconds=SECONDS), caller.expires_at)
        said: dict[str, Any] = {
            "did": caller.did, "actor": caller.actor or "", "purpose": caller.purpose or "",
            "scope": sorted(caller.scope), "token_until": to_us(caller.expires_at), "until": to_us(until),
            "id": token_hex(16),
        }  # fmt: skip
        body = jcs(said)
        return b64u(self._tag(body) + body)

    async def redeem(self, ticket: str) -> Principal:
        """Raises PLATFORM_UNAUTHENTICATED, AUTH_REPLAYED, AUTH_UNAVAILABLE."""
        clock = self.access.clock
        try:
            raw = b64u_decode(ticket[:CHARACTERS])
            body = raw[_TAG:]
            if not hmac.compare_digest(raw[:_TAG], self._tag(body)):
                raise _refused("no ticket of this house")
            said = parse_strict(body)
            purpose = parse_purpose(said["purpose"]) if said["purpose"] else None
        except DidError as error:
            raise _refused("no ticket of this house") from error
        if clock.now_us() >= said["until"]:
            raise _refused("the ticket is over")
        did, actor = Did(said["did"]), Did(said["actor"]) if said["actor"] else None
        if any(self.access.trust.suspended(each) for each in (did, actor) if each is not None):
            raise _refused("this subject is suspended")
        try:
            first = await self.access.replays.first(sha256(b"ticket" + raw).digest(), clock.now_us() // 1_000_000)
        except ConnectionError as error:
            raise AUTH_UNAVAILABLE.problem() from error
        if not first:
            raise AUTH_REPLAYED.problem()
        return Principal(did, purpose, actor, frozenset(said["scope"]), from_us(said["token_until"]))

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self.secret, b"didymos/stream-ticket/v1\0" + body, "sha256")


def _refused(detail: str) -> Problem:
    return PLATFORM_UNAUTHENTICATED.problem(detail=detail)
