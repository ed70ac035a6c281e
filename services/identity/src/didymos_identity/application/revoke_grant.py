"""An owner ends a grant by a signed statement; every service denies within a second."""

from didymos_contracts.errors.identity import GRANT_OTHER_CREDENTIAL
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Did, Grant, Revocation
from didymos_kit.clock import Clock

from didymos_identity.application.ports import Work
from didymos_identity.domain.events import ConsentChanged
from didymos_identity.domain.grant import Refused, revoke


async def revoke_grant(revocation: Revocation, caller: Did, work: Work, clock: Clock) -> Grant:
    """Idempotent. Raises GRANT_OTHER_CREDENTIAL, PLATFORM_NOT_FOUND."""
    grant = await work.grants.lock(revocation.grant)
    if grant is None or caller != revocation.signer:
        raise PLATFORM_NOT_FOUND.problem(grant=revocation.grant)
    ended = revoke(grant, revocation)
    if ended is Refused.NOT_ENTITLED:  # not 403: a stranger must not learn that the grant exists
        raise PLATFORM_NOT_FOUND.problem(grant=grant.id)
    if ended is Refused.OTHER_CREDENTIAL:
        raise GRANT_OTHER_CREDENTIAL.problem(grant=grant.id)
    if ended != grant:
        now = clock.now()
        await work.grants.save(ended, now)
        work.publish(ConsentChanged(ended, effective_at=now))
    return ended
