"""`Grants.Watch`: the grants of some twins as they stand, then each change, and beats that say how fresh that is."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

from didymos.identity.v1 import identity_service_pb2 as pb
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND, PLATFORM_TOO_LARGE, PLATFORM_UNAUTHENTICATED
from didymos_did import Did, Grant, GrantId, TwinId, parse_did, parse_site_enrolment
from didymos_kit.clock import Clock
from didymos_kit.tails import ConsentTail, IdentityTail, consent_changed

from didymos_identity.entrypoints.surface import Trusted

MOST: Final = 1000
BEAT_SECONDS: Final = 0.25  # a change is told within it
STALENESS_MS: Final = 2**31 - 1


class Watches:
    """Answers from the tail of this process, so a watcher costs the database nothing."""

    def __init__(self, consent: ConsentTail, identity: IdentityTail, trusted: Trusted, clock: Clock) -> None:
        self._consent, self._identity, self._trusted, self._clock = consent, identity, trusted, clock

    async def watch(self, request: pb.WatchRequest, caller: Did) -> AsyncIterator[pb.WatchResponse]:
        """Raises PLATFORM_TOO_LARGE, PLATFORM_NOT_FOUND (the same for an unknown twin and for one of others)."""
        if not 1 <= len(request.twins) <= MOST:
            raise PLATFORM_TOO_LARGE.problem(pointer="/twins", detail=f"1 to {MOST} twins", limit=MOST)
        twins = [TwinId(parse_did(name)) for name in dict.fromkeys(request.twins)]
        everything = self._is_site(request.enrolment, caller)
        self._check(twins, caller, everything=everything)
        known: dict[GrantId, int] = {}
        while not self._identity.suspended(caller):
            staleness_ms = self._staleness_ms()
            for grant in self._changed(twins, caller, known, everything=everything):
                changed = consent_changed(grant, self._clock.now())
                yield pb.WatchResponse(changed=changed, staleness_ms=staleness_ms)
            yield pb.WatchResponse(staleness_ms=staleness_ms)
            await asyncio.sleep(BEAT_SECONDS)
        raise PLATFORM_UNAUTHENTICATED.problem(detail="this subject is suspended")

    def _is_site(self, enrolment: bytes, caller: Did) -> bool:
        """Whether the caller is a site that an organisation of this house signed for, now."""
        if not enrolment:
            return False
        said = parse_site_enrolment(enrolment)
        return (
            said.site == caller
            and said.organisation in self._trusted.organisations
            and said.valid_from <= self._clock.now() < said.valid_until
        )

    def _check(self, twins: Sequence[TwinId], caller: Did, *, everything: bool) -> None:
        for twin in twins:
            owner = self._identity.owner_of(twin)
            grants = self._consent.grants(twin)
            entitled = everything or caller == owner or any(grant.grantee == caller for grant in grants)
            if owner is None or not entitled:
                raise PLATFORM_NOT_FOUND.problem(twin=twin)

    def _changed(
        self, twins: Sequence[TwinId], caller: Did, known: dict[GrantId, int], *, everything: bool
    ) -> Iterator[Grant]:
        """What moved on since the last look, and remember it."""
        for twin in twins:
            for grant in self._consent.grants(twin):
                visible = everything or caller in (grant.owner, grant.grantee)
                if visible and known.get(grant.id, 0) < grant.revision:
                    known[grant.id] = grant.revision
                    yield grant

    def _staleness_ms(self) -> int:
        return int(min(self._consent.staleness_seconds() * 1000, STALENESS_MS))
