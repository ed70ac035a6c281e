"""The twin that somebody claims to own, locked: what every change by an owner begins with."""

from didymos_contracts.errors import Row
from didymos_contracts.errors.identity import KEY_DESTROYED
from didymos_did import Did, TwinId

from didymos_identity.application.ports import Work
from didymos_identity.domain.twin import Twin


async def owned_twin(twin: TwinId, owner: Did, work: Work, otherwise: Row) -> Twin:
    """Raises `otherwise`, the same for a twin that is unknown and for one of another owner; KEY_DESTROYED."""
    found = await work.twins.lock(twin)
    if found is None or found.owner != owner:
        raise otherwise.problem(twin=twin)
    if not found.alive:
        raise KEY_DESTROYED.problem(twin=twin)
    return found
