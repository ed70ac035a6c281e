"""The loop that judges runs when they have ended."""

from typing import Final

from didymos_contracts.errors import Problem
from didymos_kit import log
from didymos_kit.service import Stopping

from didymos_training_orchestration.application.judge_run import Judge, judge_run
from didymos_training_orchestration.application.ports import Objects, Units

SECONDS: Final = 1.0


class Judging:
    """One run a look. Two processes may judge the same one: the first answer stays."""

    def __init__(self, judge: Judge, units: Units, objects: Objects) -> None:
        self._judge, self._units, self._objects = judge, units, objects

    async def run(self, stopping: Stopping) -> None:
        while not await stopping.within(SECONDS):
            try:
                await self._look()
            except Problem as problem:
                if problem.row.retry != "later":
                    raise

    async def _look(self) -> None:
        name = await self._units(lambda work: work.registry.unjudged())
        if name is not None:
            made = await judge_run(name, self._judge, self._units, self._objects)
            log.get().info("training.run_judged", run=name, losses=0 if made is None else len(made.losses))
