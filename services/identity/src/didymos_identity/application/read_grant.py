"""A grant, for its owner and its grantee."""

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Did, GrantId

from didymos_identity.application.ports import Grants, StoredGrant


async def read_grant(grant: GrantId, caller: Did, grants: Grants) -> StoredGrant:
    """Raises PLATFORM_NOT_FOUND, the same for an unknown grant and for one between others."""
    found = await grants.find(grant)
    if found is None or caller not in (found.grant.owner, found.grant.grantee):
        raise PLATFORM_NOT_FOUND.problem(grant=grant)
    return found
