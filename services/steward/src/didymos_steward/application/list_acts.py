"""What the steward of a twin did, for the owner of the twin."""

from collections.abc import Sequence

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Did, TwinId

from didymos_steward.application.ports import Owners, Work
from didymos_steward.domain.steward import Act, Steward


async def list_acts(twin: TwinId, limit: int, asker: Did, owners: Owners, work: Work) -> Sequence[Act]:
    """Newest first. Raises PLATFORM_NOT_FOUND."""
    if owners.owner_of(twin) != asker:
        raise PLATFORM_NOT_FOUND.problem(twin=twin)
    return await work.acts.newest(twin, limit)


async def read_steward(twin: TwinId, asker: Did, owners: Owners, work: Work) -> Steward:
    """Raises PLATFORM_NOT_FOUND."""
    found = await work.stewards.find(twin) if owners.owner_of(twin) == asker else None
    if found is None:
        raise PLATFORM_NOT_FOUND.problem(twin=twin)
    return found
