"""Before a round begins: members come one by one, and whoever is missing is waited for. learning.md 5."""

from collections.abc import Awaitable, Callable
from typing import Final

from didymos_contracts.errors import Problem

from didymos_training_orchestration.application.ports import Work
from didymos_training_orchestration.application.results import Offer
from didymos_training_orchestration.application.world import World
from didymos_training_orchestration.domain.round import Round
from didymos_training_orchestration.domain.run import Run

LOOK_SECONDS: Final = 1.0


async def gathered(
    run: Run, world: World, opening: Callable[[Offer, Work], Awaitable[Round | Problem]]
) -> Round | Problem:
    """What `opening` opened, once enough members are there; or why it could not, after `gather_seconds` or for good."""
    clients, missed = world.clients[run.clients], None
    until = world.clock.monotonic() + world.pace.gather_seconds
    while missed is None or world.clock.monotonic() < until:
        offer = await clients.offered(run.spec)
        found = await world.units(lambda work, offer=offer: opening(offer, work))  # type: ignore[misc] # bound at once
        if isinstance(found, Round):
            return found
        missed = found
        if missed.row.retry == "never":  # nobody who comes changes it
            break
        await clients.changed(LOOK_SECONDS)
    return missed
