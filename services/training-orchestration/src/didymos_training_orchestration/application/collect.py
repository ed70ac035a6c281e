"""What comes back in one attempt, until there is a sum or there will be none. learning.md section 5, step 5."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, TypeVar

from didymos_did import Did
from didymos_learning import Total

from didymos_training_orchestration.application.advance_round import STALE, advance_round, settle_members
from didymos_training_orchestration.application.ports import Work
from didymos_training_orchestration.application.results import Broken, Lost, Opened, Order, Part, Reached, Stage
from didymos_training_orchestration.application.summing import RunningSum
from didymos_training_orchestration.application.world import World
from didymos_training_orchestration.domain.cohort import Cohort
from didymos_training_orchestration.domain.round import Round, quorum
from didymos_training_orchestration.domain.run import Digest

QUORUM: Final = "quorum"
ASK_AGAIN_SECONDS: Final = 0.5
SAFE: Final = frozenset({Stage.AGREE, Stage.SHARE, Stage.MASK})  # no vector is masked before MASK is told
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Collected:
    """The sum of `accepted`, in the order of the cohort, and what became of each member."""

    round: Round
    accepted: tuple[Did, ...]
    total: Total
    transcript: Digest
    outcomes: dict[Did, str]
    parts: tuple[Total, ...] = ()  # of each member, for a strategy that compares them


@dataclass(frozen=True, slots=True)
class Failed:
    """No sum. `again`: another attempt of this round is safe."""

    round: Round
    code: str
    again: bool
    outcomes: dict[Did, str]


@dataclass
class _Desk:
    round: Round
    running: RunningSum
    outcomes: dict[Did, str] = field(default_factory=dict)


async def collect(order: Order, round_: Round, epoch: int, world: World, kind: str) -> Collected | Failed:
    """Raises as `hold`: then the attempt stays as it is, for whoever drives the run next."""
    clients = world.clients["simulated" if kind == "simulated" else "sites"]
    desk = _Desk(round_, RunningSum(order.cohort.names, order.spec))
    masked = order.spec.masking == "pairwise" and kind != "simulated"
    async with aclosing(clients.results(order)) as results:  # type: ignore[type-var] # they are generators
        async for result in results:
            match result:
                case Part(member, total):
                    desk.running.add(member, total)
                case Lost(member, code):
                    desk.outcomes[member] = code
                    world.meters.client("dropped" if code == "deadline" else "refused")
                case Reached(stage, members):
                    refused = await _reached(desk, epoch, stage, _only(order.cohort, members), world)
                    if refused is not None:
                        again = stage in SAFE and not desk.round.charged
                        return Failed(desk.round, refused, again=again, outcomes=desk.outcomes)
                case Broken(code):
                    return Failed(desk.round, code, desk.round.state.value == "open", desk.outcomes)
                case Opened(survivors, total, transcript):
                    outcomes = desk.outcomes | dict.fromkeys(survivors, "delivered")
                    return Collected(desk.round, survivors, total, transcript, outcomes)
    if masked:
        return Failed(desk.round, QUORUM, again=False, outcomes=desk.outcomes)
    return await _clear(order, desk, epoch, world, kind)


async def _reached(desk: _Desk, epoch: int, stage: Stage, members: Cohort, world: World) -> str | None:
    """Make the stage durable before it takes effect; the code by which the attempt ends instead."""
    moved = await _known(
        lambda work: advance_round(desk.round, epoch, stage, members, world.consent, work, world.clock), world
    )
    if isinstance(moved, str):
        return moved
    desk.round = moved
    return None


async def _clear(order: Order, desk: _Desk, epoch: int, world: World, kind: str) -> Collected | Failed:
    """The ordered sum of the parts, if they are enough, and if the owners of all of them still allow it."""
    here = _only(order.cohort, desk.running.names)
    asked = len(order.cohort.members)
    if len(here.members) < (asked if kind == "simulated" else quorum(asked, order.spec.cohort.surviving)):
        return Failed(desk.round, QUORUM, again=True, outcomes=desk.outcomes)
    settled = await _known(
        lambda work: settle_members(desk.round, epoch, here, world.consent, work, world.clock), world
    )
    if isinstance(settled, str):
        return Failed(desk.round, settled, again=True, outcomes=desk.outcomes)
    desk.round = settled
    accepted, total, parts = desk.running.ended()
    outcomes = desk.outcomes | dict.fromkeys(accepted, "delivered")
    return Collected(desk.round, accepted, total, b"", outcomes, parts)


async def _known(use_case: Callable[[Work], Awaitable[T | str]], world: World) -> T | str:
    """`use_case`, asked again while consent is stale: that passes by itself, and the round waits."""
    until = world.clock.monotonic() + world.pace.gather_seconds
    clients = next(iter(world.clients.values()))
    while True:
        said = await world.units(use_case)
        if said != STALE or world.clock.monotonic() >= until:
            return said
        await clients.changed(ASK_AGAIN_SECONDS)


def _only(cohort: Cohort, names: tuple[Did, ...]) -> Cohort:
    kept = set(names)
    return Cohort(tuple(member for member in cohort.members if member.name in kept))
