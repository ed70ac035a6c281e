"""A twin gets its owner: both keys signed it, and whoever comes first holds."""

from didymos_contracts.errors.identity import KEY_DESTROYED, TWIN_OWNED
from didymos_contracts.errors.platform import PLATFORM_FORBIDDEN
from didymos_did import Did, TwinRegistration
from didymos_kit.clock import Clock

from didymos_identity.application.ports import Work
from didymos_identity.domain.events import TwinRegistered
from didymos_identity.domain.twin import Twin


async def register_twin(registration: TwinRegistration, caller: Did, work: Work, clock: Clock) -> Twin:
    """Idempotent. Raises PLATFORM_FORBIDDEN, TWIN_OWNED, KEY_DESTROYED."""
    if caller != registration.owner:
        raise PLATFORM_FORBIDDEN.problem(detail="only the owner that signed it registers a twin")
    twin = Twin(registration.twin, registration.owner, clock.now())
    if await work.twins.add(twin):
        work.publish(TwinRegistered(twin))
        return twin
    known = await work.twins.lock(registration.twin)
    if known is None or known.owner != registration.owner:  # the twin's own key signed: it may know that much
        raise TWIN_OWNED.problem(twin=registration.twin)
    if not known.alive:
        raise KEY_DESTROYED.problem(twin=registration.twin)
    return known
