"""The key with which this process signs tokens: its own, published, used once its own tail shows it. identity.md 3."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_did import AccessClaims, Did, Ed25519Signer, KeyId, issue_token
from didymos_kit.clock import Clock
from didymos_kit.tails import IdentityTail

from didymos_identity.domain.token_key import RENEWED_BEFORE_END, TokenKey, token_key

PATIENCE_SECONDS: Final = 5.0


class ProcessTokenKey:
    """Fills `TokenIssuer`. The private half never leaves this object."""

    def __init__(
        self, issuer: Did, tail: IdentityTail, clock: Clock, entropy: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._issuer, self._tail, self._clock, self._entropy = issuer, tail, clock, entropy
        self._signer: Ed25519Signer | None = None
        self._next: Ed25519Signer | None = None
        self._key: TokenKey | None = None

    def due(self) -> bool:
        """Whether it is time for another key."""
        return self._key is None or self._clock.now() >= self._key.not_after - RENEWED_BEFORE_END

    def made(self) -> TokenKey:
        """A new key, to be published. The one before signs until this one is in the log."""
        seed = self._entropy(32)
        multikey = Ed25519Signer(seed).public.multikey
        kid = KeyId(f"{self._issuer}#{multikey}")
        self._next = Ed25519Signer(seed, kid)
        return token_key(kid, multikey, self._clock.now())

    def published(self, key: TokenKey) -> None:
        """It is committed: nothing is due until shortly before its end."""
        self._key = key

    async def issue(self, claims: AccessClaims) -> str:
        """Raises PLATFORM_UNAVAILABLE."""
        return issue_token(claims, await self._ready())

    async def _ready(self) -> Ed25519Signer:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    if self._next is not None and self._tail.token_key(self._next.kid) is not None:
                        self._signer, self._next = self._next, None
                    if self._signer is not None:
                        return self._signer
                    await self._tail.arrived()
        except TimeoutError:
            raise PLATFORM_UNAVAILABLE.problem(detail="the key of this process is not in the log yet") from None
