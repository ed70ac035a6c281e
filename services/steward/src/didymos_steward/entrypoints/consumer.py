"""Watches `didymos.twin.changed.v1`: a signal only. Values come from twin-state, as far as the grants show them.

Idempotent: the command id follows from the place of the change, and the act is stored with the proposal.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from didymos_kit import log
from didymos_kit.clock import Clock
from didymos_kit.database.engine import Database
from didymos_kit.dispatch import Dispatcher
from didymos_kit.eventlog.port import Stored
from didymos_kit.service import Loop, Stopping
from didymos_kit.telemetry.metrics import Gauge

from didymos_steward.adapters.protobuf import Changed, Refused, Signal, signals
from didymos_steward.adapters.stewards import SqlStewards
from didymos_steward.application.consider_change import consider_change
from didymos_steward.application.note_outcome import note_applied, note_refusal
from didymos_steward.application.ports import Grants, Twins, Work
from didymos_steward.domain.steward import Act, Steward, feature

GROUP: Final = "steward.watch"
COUNT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Watch:
    """Handles slices of the topic. `count` is told the state of each act that changed."""

    database: Database
    dispatch: Dispatcher[Work]
    twins: Twins
    grants: Grants
    clock: Clock
    count: Callable[[str], None]

    async def handle(self, records: Sequence[Stored]) -> None:
        """Raises Problem for what passes by itself: the partition is held, and the slice comes again."""
        found = list(signals(records))
        changed = [signal.twin for signal in found if isinstance(signal, Changed)]
        stewards: dict[str, Steward] = {}
        if changed:
            async with self.database.read() as connection:
                stewards = {one.twin: one for one in await SqlStewards(connection).among(changed)}
        for signal in found:
            await self._heed(signal, stewards.get(signal.twin))

    async def _heed(self, signal: Signal, steward: Steward | None) -> None:
        match signal:
            case Refused(_, command_id, code):
                refused = await self.dispatch(lambda work: note_refusal(command_id, code, work))
                self._tell(refused.value)
            case Changed() if steward is not None:
                await self._look(signal, steward)

    async def _look(self, signal: Changed, steward: Steward) -> None:
        command = feature(steward.command)
        mine = signal.properties & {"", feature(steward.property), command}
        view = await self.twins.view(steward) if mine else None
        if view is None:
            return
        applied = await self.dispatch(lambda work: note_applied(steward.twin, view, work))
        self._tell(applied.value)
        if mine != {command}:
            done = await self.dispatch(
                lambda work: consider_change(signal.command_id, steward, view, self.grants, work, self.clock)
            )
            self._tell(done.value if isinstance(done.value, Act) else None)

    def _tell(self, act: Act | None) -> None:
        if act is not None:
            self.count(act.state.value)
            log.get().info("steward.acted", twin=act.twin, act=act.id.hex(), state=act.state.value, code=act.detail)


def counting(read: Callable[[], AbstractAsyncContextManager[SqlStewards]], gauge: Gauge) -> Loop:
    """A loop that shows how many twins have a steward."""

    async def watched_twins(stopping: Stopping) -> None:
        while not await stopping.within(COUNT_SECONDS):
            async with read() as stewards:
                gauge.set(await stewards.count())

    return watched_twins
