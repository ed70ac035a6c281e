"""An owner gives a twin its steward, or takes it away."""

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.steward import STEWARD_BOUNDS_UNUSABLE
from didymos_did import Did, TwinId, matches
from didymos_kit.clock import Clock

from didymos_steward.application.ports import Grants, Owners, Work
from didymos_steward.domain.steward import Steward, feature


async def appoint_steward(steward: Steward, owners: Owners, grants: Grants, work: Work, clock: Clock) -> Steward:
    """Idempotent: the same again changes nothing. Raises PLATFORM_NOT_FOUND, STEWARD_BOUNDS_UNUSABLE."""
    if owners.owner_of(steward.twin) != steward.owner:  # not 403: a stranger must not learn that the twin exists
        raise PLATFORM_NOT_FOUND.problem(twin=steward.twin)
    bounds = grants.bounds(steward.twin, steward.grant, clock.now())
    if bounds is None or not any(matches(path, feature(steward.command)) for path in bounds.paths):
        raise STEWARD_BOUNDS_UNUSABLE.problem(pointer="/grant", detail=f"no live bounds for {steward.command}")
    await work.stewards.put(steward)
    return steward


async def dismiss_steward(twin: TwinId, asker: Did, owners: Owners, work: Work) -> None:
    """Its acts stay on record. Raises PLATFORM_NOT_FOUND."""
    if owners.owner_of(twin) != asker:
        raise PLATFORM_NOT_FOUND.problem(twin=twin)
    await work.stewards.remove(twin)
