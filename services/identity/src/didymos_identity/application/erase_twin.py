"""A twin is erased: its grants end, then its keys are destroyed, then everybody is told. identity.md section 11.

Two databases: each step is safe to repeat, and what a crash left half done is finished at the next start.
"""

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Did, Erasure, TwinId, revoked
from didymos_kit.clock import Clock

from didymos_identity.application.ports import Committed, Dispatch, Vault, Work
from didymos_identity.domain.events import ConsentChanged, TwinKeyDestroyed
from didymos_identity.domain.twin import Twin, TwinState, in_state


async def erase_twin(
    erasure: Erasure, caller: Did, dispatch: Dispatch, vault: Vault, clock: Clock
) -> tuple[Committed[Twin], Committed[Twin]]:
    """What both transactions answered. Idempotent. Raises PLATFORM_NOT_FOUND."""
    begun = await dispatch(lambda work: begin_erasure(erasure, caller, work, clock))
    return begun, await finish_erasure(erasure.twin, dispatch, vault, clock)


async def begin_erasure(erasure: Erasure, caller: Did, work: Work, clock: Clock) -> Twin:
    """Nothing is granted any more, and no key is given out. Raises PLATFORM_NOT_FOUND."""
    twin = await work.twins.lock(erasure.twin)
    if twin is None or twin.owner != erasure.signer or caller != erasure.signer:
        raise PLATFORM_NOT_FOUND.problem(twin=erasure.twin)
    if not twin.alive:
        return twin
    now = clock.now()
    for grant in await work.grants.live_of(twin.id):
        ended = revoked(grant)
        await work.grants.save(ended, now)
        work.publish(ConsentChanged(ended, effective_at=now))
    erasing = in_state(twin, TwinState.ERASING)
    await work.twins.save(erasing)
    return erasing


async def finish_erasure(twin: TwinId, dispatch: Dispatch, vault: Vault, clock: Clock) -> Committed[Twin]:
    """Destroy the keys, then say so: nobody is told of a destruction that did not happen."""
    await vault.destroy(twin, clock.now())
    return await dispatch(lambda work: end_erasure(twin, work, clock))


async def end_erasure(twin_id: TwinId, work: Work, clock: Clock) -> Twin:
    """Raises PLATFORM_NOT_FOUND."""
    twin = await work.twins.lock(twin_id)
    if twin is None:
        raise PLATFORM_NOT_FOUND.problem(twin=twin_id)
    if twin.state is not TwinState.ERASING:
        return twin
    erased = in_state(twin, TwinState.ERASED)
    await work.twins.save(erased)
    work.publish(TwinKeyDestroyed(twin.id, effective_at=clock.now()))
    return erased
