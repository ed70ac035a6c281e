"""The loop that drives runs: one coordinator a run, by a lease; any of them may die at any moment. learning.md 5."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_INTERNAL
from didymos_contracts.errors.training import TRAINING_LEASE_LOST, TRAINING_RUN_STATE
from didymos_kit import log
from didymos_kit.errors import problem_of
from didymos_kit.service import Stopping

from didymos_training_orchestration.application.drive_run import drive_run, tell_the_end
from didymos_training_orchestration.application.hold import hold, move
from didymos_training_orchestration.application.ports import Work
from didymos_training_orchestration.application.world import World
from didymos_training_orchestration.domain.run import Move, Run, RunId

MISTAKES: Final = 3  # of ours, in one run: then it waits for somebody to look
_EXPECTED: Final = frozenset({TRAINING_LEASE_LOST.code, TRAINING_RUN_STATE.code})


@dataclass(frozen=True, slots=True)
class Shift:
    """Who drives, and for how long without renewal. `at_once`: nobody else can hold a lease (one process, one file)."""

    owner: str
    poll_seconds: float
    lease_seconds: float
    at_once: bool


@dataclass
class _Driven:
    epoch: int
    task: asyncio.Task[None]


class Driver:
    def __init__(self, world: World, shift: Shift) -> None:
        self._world, self._shift = world, shift
        self._driven: dict[RunId, _Driven] = {}
        self._renewed = 0.0
        self._mistakes: dict[RunId, int] = {}

    async def run(self, stopping: Stopping) -> None:
        try:
            while not await stopping.within(self._shift.poll_seconds):
                try:
                    await self._look()
                except Problem as problem:
                    if problem.row.retry != "later":
                        raise
        finally:
            for driven in self._driven.values():
                driven.task.cancel()
            if self._driven:
                await asyncio.wait([driven.task for driven in self._driven.values()])

    async def _look(self) -> None:
        """Begin what nobody drives, end what was moved meanwhile, keep the leases of the rest."""
        running = await self._world.units(lambda work: work.runs.to_drive())
        for name in list(self._driven):
            if name not in running and not self._driven[name].task.done():
                self._driven[name].task.cancel()
                await asyncio.wait([self._driven[name].task])
            if self._driven[name].task.done():
                del self._driven[name]
                await tell_the_end(name, self._world)
        now = self._world.clock.now()
        until = now + timedelta(seconds=self._shift.lease_seconds)
        for name in running:
            if name not in self._driven:
                epoch = await self._world.units(
                    lambda work, name=name: work.runs.take_lease(  # type: ignore[misc] # bound at once
                        name, self._shift.owner, now, until, at_once=self._shift.at_once
                    )
                )
                if epoch is not None:
                    self._driven[name] = _Driven(
                        epoch, asyncio.create_task(self._drive(name, epoch), name=f"run {name}")
                    )
        await self._renew()

    async def _renew(self) -> None:
        at = self._world.clock.monotonic()
        if at - self._renewed < self._shift.lease_seconds / 3:
            return
        self._renewed = at
        until = self._world.clock.now() + timedelta(seconds=self._shift.lease_seconds)
        for name, driven in list(self._driven.items()):
            kept = await self._world.units(
                lambda work, name=name, driven=driven: work.runs.renew_lease(name, driven.epoch, until)  # type: ignore[misc]
            )
            if not kept:
                driven.task.cancel()

    async def _drive(self, name: RunId, epoch: int) -> None:
        """One term. What passes by itself is tried again at the next look; what does not pauses the run."""
        try:
            await drive_run(name, epoch, self._world)
        except Exception as error:
            problem = problem_of(error)
            if problem.row.code in _EXPECTED:
                log.get().info("training.term_ended", run=name, code=problem.row.code)
                return
            log.get().error("training.run_failed", run=name, code=problem.row.code, detail=str(problem))
            if problem.row is PLATFORM_INTERNAL:
                self._mistakes[name] = self._mistakes.get(name, 0) + 1
            if problem.row.retry == "later" and self._mistakes.get(name, 0) < MISTAKES:
                await asyncio.sleep(self._shift.poll_seconds)
                return
            self._mistakes.pop(name, None)
            await self._pause(name, epoch, problem.row.code)

    async def _pause(self, name: RunId, epoch: int, code: str) -> None:
        async def pause(work: Work) -> Run:
            return await move(await hold(name, epoch, work), Move.PAUSE, work, code)

        try:
            await self._world.units(pause)
        except Problem as problem:
            log.get().warning("training.pause_refused", run=name, code=problem.row.code)
