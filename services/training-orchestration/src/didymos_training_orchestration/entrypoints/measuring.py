"""What runs drew from the budgets of grants, as gauges: exact, for the book is asked."""

from typing import Final

from didymos_contracts.errors import Problem
from didymos_contracts.metrics import TRAINING_BUDGET_ROUNDS
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics

from didymos_training_orchestration.application.ports import Units

SECONDS: Final = 10.0


class Measuring:
    """A loop; while the database is away the gauges stand."""

    def __init__(self, units: Units, metrics: Metrics) -> None:
        self._units = units
        self._gauges = {name: metrics.gauge(TRAINING_BUDGET_ROUNDS, booking=name) for name in ("reserved", "spent")}

    async def run(self, stopping: Stopping) -> None:
        await self._measure()
        while not await stopping.within(SECONDS):
            await self._measure()

    async def _measure(self) -> None:
        try:
            drawn = await self._units(lambda work: work.book.drawn())
        except Problem as problem:
            if problem.row.retry != "later":
                raise
            return
        self._gauges["reserved"].set(drawn.reserved)
        self._gauges["spent"].set(drawn.spent)
