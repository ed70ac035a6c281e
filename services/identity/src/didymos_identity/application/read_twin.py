"""Whose a twin is, for its owner."""

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Did, TwinId

from didymos_identity.application.ports import Twins
from didymos_identity.domain.twin import Twin


async def read_twin(twin: TwinId, caller: Did, twins: Twins) -> Twin:
    """Raises PLATFORM_NOT_FOUND, the same for an unknown twin and for one of another owner."""
    found = (await twins.find(twin)).get(twin)
    if found is None or found.owner != caller:
        raise PLATFORM_NOT_FOUND.problem(twin=twin)
    return found
