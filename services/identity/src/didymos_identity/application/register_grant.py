"""The owner of a twin grants something: the credential is stored and told to every service."""

from didymos_contracts.errors.identity import GRANT_ID_CONFLICT, GRANT_NOT_OWNER, GRANT_WINDOW_INVALID
from didymos_contracts.errors.platform import PLATFORM_FORBIDDEN
from didymos_did import Did, Grant
from didymos_kit.clock import Clock

from didymos_identity.application.owned_twin import owned_twin
from didymos_identity.application.ports import Work
from didymos_identity.domain.events import ConsentChanged


async def register_grant(grant: Grant, credential: bytes, caller: Did, work: Work, clock: Clock) -> Grant:
    """Idempotent: the same credential gets what is stored, also after it was revoked.

    Raises PLATFORM_FORBIDDEN, GRANT_NOT_OWNER, GRANT_WINDOW_INVALID, GRANT_ID_CONFLICT, KEY_DESTROYED.
    """
    if caller != grant.owner:
        raise PLATFORM_FORBIDDEN.problem(detail="only the owner that signed it registers a grant")
    known = await work.grants.lock(grant.id)
    if known is not None:
        if known.digest != grant.digest:
            raise GRANT_ID_CONFLICT.problem(pointer="/id", detail="another grant has this id")
        return known
    await owned_twin(grant.twin, grant.owner, work, GRANT_NOT_OWNER)
    now = clock.now()
    if grant.terms.valid_until <= now:
        raise GRANT_WINDOW_INVALID.problem(pointer="/validUntil", detail="the window is over")
    if not await work.grants.add(grant, credential, now):
        raise GRANT_ID_CONFLICT.problem(pointer="/id", detail="another grant has this id")
    work.publish(ConsentChanged(grant, effective_at=now))
    return grant
