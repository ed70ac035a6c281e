"""Rounds of milliseconds: computed one after the other, committed in groups. learning.md section 5, ADR 131.

What a crash takes was told to nobody: it is computed again, with the same bits.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

from didymos_kit import log
from didymos_kit.faults import fault_point
from didymos_learning import BySum, Flat, LearningError, ServerState, flat_bytes, strategy_of

from didymos_training_orchestration.application.close_round import close_rounds
from didymos_training_orchestration.application.open_round import plan_round
from didymos_training_orchestration.application.results import Part, order_of
from didymos_training_orchestration.application.summing import RunningSum, applied, server_of
from didymos_training_orchestration.application.world import SECOND_US, World
from didymos_training_orchestration.domain.round import Round, RoundState
from didymos_training_orchestration.domain.run import Run

QUICK_SECONDS: Final = 0.2  # a round that takes longer is worth a commit of its own
GROUP_SECONDS: Final = 0.5
MOST: Final = 512  # rounds of one commit
KEPT: Final = 4  # checkpoints of a group, beside its last: enough to see how a run went


def together(run: Run, world: World) -> bool:
    """Whether rounds of this run may be computed ahead of what is durable: nobody keeps anything of them, nobody is
    asked for consent in them, and no score is taken."""
    return run.clients == "simulated" and not world.clients[run.clients].keeps(run.spec) and not run.spec.validation


async def quick_rounds(run: Run, epoch: int, world: World) -> None:
    """Rounds until the run is over, or one is slow or fails: the next one goes by itself.

    A group is committed while the next is computed. Raises as `hold`: what is not committed never was.
    """
    offer = await world.clients[run.clients].offered(run.spec)
    first = await world.units(
        lambda work: plan_round(run.id, epoch, offer, world.pace.first_training_us, world.consent, work, world.clock)
    )
    if not isinstance(first, Round):
        return
    commits, group, until = _Commits(epoch, world), _Group(), _soon(world)
    try:
        async with aclosing(_computed(run, first, world)) as rounds:
            async for ended, server in rounds:
                group.add(ended, server)
                commits.check()
                if world.clock.monotonic() >= until or len(group.rounds) >= MOST:
                    await commits.begin(group)
                    group, until = _Group(), _soon(world)
        if group.rounds:
            await commits.begin(group)
        await commits.end()
    finally:
        await commits.drop()


def _soon(world: World) -> float:
    return world.clock.monotonic() + GROUP_SECONDS


async def _computed(run: Run, first: Round, world: World) -> AsyncGenerator[tuple[Round, ServerState], None]:
    """Round after round from `first`, each as it will be stored, with what the server stands at after it."""
    clients, server, round_ = world.clients[run.clients], await server_of(run, world), first
    strategy, names = strategy_of(run.spec.strategy, run.spec.masking), first.cohort.names
    while round_.number <= run.spec.rounds:
        order, running = order_of(run, round_, b""), RunningSum(names, run.spec)
        broadcast = strategy.broadcast(server) if isinstance(strategy, BySum) else ()
        await clients.open(order, server.params, broadcast)
        async with aclosing(clients.results(order)) as results:  # type: ignore[type-var] # they are generators
            async for result in results:
                if not isinstance(result, Part):
                    return
                running.add(result.member, result.total)
        accepted, total, parts = running.ended()
        if accepted != names:
            return
        try:
            server = applied(run.spec, total, parts, server)
        except LearningError:
            return
        ended = replace(
            round_, state=RoundState.COMMITTED, accepted=accepted, closed_us=world.clock.now_us(), charged=True,
            total=sha256(total.vector.astype("<f8", copy=False).tobytes()).digest(),
            result=sha256(flat_bytes(server.params)).digest(),
        )  # fmt: skip
        yield ended, server
        if ended.closed_us - ended.opened_us >= QUICK_SECONDS * SECOND_US:
            return
        round_ = replace(first, number=ended.number + 1, params=ended.result, opened_us=ended.closed_us)


@dataclass
class _Group:
    """Rounds in order. `checkpoints`: parameters of the last one, and of at most `KEPT` others at even distances."""

    rounds: list[Round] = field(default_factory=list)
    moments: tuple[Flat, ...] = ()
    _last: Flat | None = None
    _kept: list[Flat] = field(default_factory=list)
    _step: int = 1

    def add(self, ended: Round, server: ServerState) -> None:
        if self._last is not None and len(self.rounds) % self._step == 0:
            self._kept.append(self._last)
        if len(self._kept) > KEPT:
            self._kept, self._step = self._kept[1::2], 2 * self._step
        self.rounds.append(ended)
        self._last, self.moments = server.params, server.moments

    @property
    def checkpoints(self) -> list[Flat]:
        return self._kept if self._last is None else [*self._kept, self._last]


class _Commits:
    """One at a time, beside the rounds that follow it."""

    def __init__(self, epoch: int, world: World) -> None:
        self._epoch, self._world = epoch, world
        self._task: asyncio.Task[None] | None = None

    async def begin(self, group: _Group) -> None:
        """Raises what the commit before it raised."""
        await self.end()
        self._task = asyncio.create_task(_commit(group, self._epoch, self._world), name="commit of rounds")

    def check(self) -> None:
        """Raises what a commit that is over raised."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def end(self) -> None:
        if self._task is not None:
            await self._task
            self._task = None

    async def drop(self) -> None:
        """Whether it was committed is not known then: the next coordinator looks."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.exception()


async def _commit(group: _Group, epoch: int, world: World) -> None:
    """(1) the checkpoints, (2) one transaction. A crash before (2) repeats the group."""
    for params in group.checkpoints:
        await world.objects.put(flat_bytes(params))
    moments = tuple([await world.objects.put(flat_bytes(moment)) for moment in group.moments])
    rounds = group.rounds
    fault_point("training.group_written")
    await world.units(lambda work: close_rounds(rounds, epoch, moments, work))
    fault_point("training.group_committed")
    for ended in rounds:
        world.meters.opened()
        world.meters.ended("closed", (ended.closed_us - ended.opened_us) / 1e6)
        for _ in ended.accepted:
            world.meters.client("delivered")
    log.get().info(
        "training.rounds_closed", run=rounds[0].run, first=rounds[0].number, last=rounds[-1].number,
        accepted=len(rounds[0].accepted),
    )  # fmt: skip
