"""What ends a grant."""

from dataclasses import replace
from datetime import datetime
from enum import Enum, auto

from didymos_did import ENDED, Grant, GrantState, Revocation, revoked


class Refused(Enum):
    NOT_ENTITLED = auto()
    OTHER_CREDENTIAL = auto()


def revoke(grant: Grant, revocation: Revocation) -> Grant | Refused:
    """`grant`, ended for good. An ended one comes back as it is, a suspended one ends: denial is always safe."""
    if revocation.signer != grant.owner:
        return Refused.NOT_ENTITLED
    if revocation.digest != grant.digest:
        return Refused.OTHER_CREDENTIAL
    return revoked(grant)


def expired(grant: Grant, now: datetime) -> Grant:
    """`grant` as it stands at `now`: its window may be over."""
    if grant.state in ENDED or now < grant.terms.valid_until:
        return grant
    return replace(grant, state=GrantState.EXPIRED, revision=grant.revision + 1)
