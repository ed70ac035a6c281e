"""What owners allow: credentials from the folder, and where each of them stands by `Grants.Watch`.

The service of identities can end a grant here, never make one: a grant counts only with the credential that its owner
signed and put into the folder, under the digest that was published.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from didymos.identity.v1 import identity_service_pb2 as pb
from didymos_did import Facts, Freshness, Grant, GrantId, Ownership, TwinId, Usage
from didymos_kit.clock import Clock
from didymos_kit.tails import grant_from_consent

from didymos_site.domain.subject import Subject

STALE_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 60.0  # whoever is away for a moment comes back within it; a coordinator waits as long


class WatchedConsent:
    """Fills `Consent`. Silence makes everything stale, and stale means no."""

    def __init__(
        self, subjects: Mapping[TwinId, Subject], credentials: Callable[[], Sequence[Grant]], clock: Clock,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:  # fmt: skip
        self._patience, self._beat = patience_seconds, asyncio.Event()
        self._subjects, self._read, self._clock = subjects, credentials, clock
        self._credentials: dict[GrantId, Grant] = {}
        self._standing: dict[GrantId, Grant] = {}
        self._fresh_until = float("-inf")
        self.reload()

    def reload(self) -> tuple[TwinId, ...]:
        """Reads the folder again; the twins with a credential of their owner, whom this site can offer."""
        self._credentials = {grant.id: grant for grant in self._read()}
        owned = {
            grant.twin
            for grant in self._credentials.values()
            if grant.twin in self._subjects and grant.owner == self._subjects[grant.twin].owner
        }
        return tuple(sorted(owned))

    def told(self, response: pb.WatchResponse) -> None:
        """One change, or a beat. Of two records of one grant the higher revision holds."""
        self._fresh_until = self._clock.monotonic() + STALE_SECONDS - response.staleness_ms / 1000
        self._beat.set()
        if response.HasField("changed"):
            grant = grant_from_consent(response.changed.SerializeToString())
            known = self._standing.get(grant.id)
            if known is None or known.revision < grant.revision:
                self._standing[grant.id] = grant

    @property
    def fresh(self) -> bool:
        return self._clock.monotonic() < self._fresh_until

    async def settle(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                while not self.fresh:
                    self._beat.clear()
                    await self._beat.wait()

    def facts(self, twin: TwinId, booked: Mapping[GrantId, int]) -> Facts:
        subject = self._subjects.get(twin)
        grants = tuple(
            replace(credential, state=standing.state, revision=standing.revision)
            for standing in self._standing.values()
            if standing.twin == twin
            and (credential := self._credentials.get(standing.id)) is not None
            and (credential.digest, credential.twin) == (standing.digest, twin)
        )
        usage = {grant.id: Usage(booked.get(grant.id, 0), booked.get(grant.id, 0)) for grant in grants}
        return Facts(
            Ownership(None if subject is None else subject.owner),
            grants,
            Freshness.FRESH if self.fresh else Freshness.STALE,
            usage=usage,
        )
