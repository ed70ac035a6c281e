"""A grant, for its owner, its grantee, and the service that keeps the evidence."""

from collections.abc import Container

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Did, GrantId

from didymos_identity.application.ports import Grants, StoredGrant


async def read_grant(grant: GrantId, caller: Did, grants: Grants, keepers: Container[Did] = ()) -> StoredGrant:
    """`keepers`: who may read every credential.

    Raises PLATFORM_NOT_FOUND, the same for an unknown grant and for one between others.
    """
    found = await grants.find(grant)
    parties = () if found is None else (found.grant.owner, found.grant.grantee)
    if found is None or not (caller in parties or caller in keepers):
        raise PLATFORM_NOT_FOUND.problem(grant=grant)
    return found
