"""What is held in escrow, as a gauge: with payouts and refunds it says whether money stays whole."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from didymos_contracts.errors import Problem
from didymos_contracts.metrics import MARKET_BOOK_GAP_MINOR, MARKET_ESCROW_MINOR
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics

from didymos_marketplace.application.ports import Tables

SECONDS: Final = 5.0


class Measuring:
    """A loop; while the database is away the gauge stands."""

    def __init__(self, reads: Callable[[], AbstractAsyncContextManager[Tables]], metrics: Metrics) -> None:
        self._reads, self._escrow = reads, metrics.gauge(MARKET_ESCROW_MINOR)
        self._gap = metrics.gauge(MARKET_BOOK_GAP_MINOR)

    async def run(self, stopping: Stopping) -> None:
        await self.measure()
        while not await stopping.within(SECONDS):
            await self.measure()

    async def measure(self) -> None:
        try:
            async with self._reads() as tables:
                self._escrow.set(await tables.book.escrowed())
                self._gap.set(await tables.book.escrow_gap())
        except Problem as problem:
            if problem.row.retry != "later":
                raise
