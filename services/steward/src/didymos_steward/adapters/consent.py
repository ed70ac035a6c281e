"""Bounds out of the tail of consent."""

from datetime import datetime
from typing import Protocol

from didymos_did import Bounds, Did, DidError, Grant, GrantId, GrantState, TwinId, bounds_of


class GrantsOf(Protocol):
    """The tail, as kit has it."""

    def grants(self, twin: TwinId) -> tuple[Grant, ...]: ...


class TailGrants:
    """`steward`: the DID that the grants must be for."""

    def __init__(self, consent: GrantsOf, steward: Did) -> None:
        self._consent, self._steward = consent, steward

    def bounds(self, twin: TwinId, grant: GrantId, now: datetime) -> Bounds | None:
        found = next((one for one in self._consent.grants(twin) if one.id == grant), None)
        if found is None or found.state is not GrantState.ACTIVE or found.grantee != self._steward:
            return None
        if not found.terms.valid_from <= now < found.terms.valid_until:
            return None
        try:
            return bounds_of(found)
        except DidError:
            return None
