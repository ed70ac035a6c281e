"""Twins that have a model of their own: the newest readings of what it foretells, kept for the next forecast."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from didymos_contracts.errors import Problem
from didymos_did import DidError

from didymos_twin_state.application.predictions import (
    SPAN_US,
    Fitted,
    Models,
    NoForecastError,
    Predictor,
    Watching,
    candidates,
)
from didymos_twin_state.application.read_history import Past
from didymos_twin_state.application.read_twin import Twins
from didymos_twin_state.domain.columns import Readings
from didymos_twin_state.domain.forecast import Served
from didymos_twin_state.domain.twin import Cell, TwinState

MOST_TWINS: Final = 20_000  # remembered at once; the one that changed longest ago is read anew when it changes
BROKEN_SECONDS: Final = 60.0  # a model that does not open is not tried again for so long
BROKEN: Final = frozenset({"model_missing", "model_unreadable", "not_finite"})
OTHER: Final = "other"


@dataclass(slots=True)
class Tracked:
    """One property of one twin. `made`: forecasts that did not come due, by what time they are of: mean, half width."""

    fitted: Fitted
    rival: Served | None  # the shared model of the same run and specification
    times_us: list[int]
    values: list[float]
    unit: str
    watching: Watching | None = None
    made: dict[int, tuple[float, float | None]] = field(default_factory=dict)
    again: bool = False  # if its window has a gap, it is read once more

    @property
    def readings(self) -> Readings:
        times = np.array(self.times_us, np.int64)
        return Readings(times, np.array(self.values), np.zeros(len(times), np.uint8), self.unit)

    def take(self, at_us: int, value: float) -> bool:
        """A reading came. False for one that is older than the newest: the window is as it was."""
        if at_us < self.times_us[-1]:
            return False
        if at_us == self.times_us[-1]:  # it was corrected
            self.values[-1] = value
            return True
        self.times_us.append(at_us)
        self.values.append(value)
        keep = self.fitted.model.input + 1
        del self.times_us[:-keep], self.values[:-keep]
        self._settle(at_us, value)
        return True

    def _settle(self, at_us: int, value: float) -> None:
        """What was foretold of this time is judged by it."""
        near = self.fitted.model.period_us // 2
        for due_us in [each for each in self.made if each <= at_us + near]:
            mean, width = self.made.pop(due_us)
            if self.watching is not None and abs(due_us - at_us) <= near:
                self.watching.settle(value - mean, width)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where twins, models and the past are read. `refused` hears why a model could not speak."""

    twins: Twins
    past: Past
    models: Models
    predictor: Predictor
    monotonic: Callable[[], float]
    refused: Callable[[str], None]


class Fleet:
    """Not for two tasks at once."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources
        self._twins: OrderedDict[str, dict[str, Tracked]] = OrderedDict()
        self._broken: dict[str, float] = {}

    def known(self, twin: str) -> dict[str, Tracked] | None:
        """What is tracked of a twin, by property; None if it has to be loaded."""
        found = self._twins.get(twin)
        if found is not None:
            self._twins.move_to_end(twin)
        return found

    def has(self, twin: str, name: str, tracked: Tracked) -> bool:
        """Whether this is what is tracked of a property now. To ask is no use of it."""
        return self._twins.get(twin, {}).get(name) is tracked

    def concerns(self, twin: str) -> bool:
        """Whether it can have a model of its own: nothing is read of the others."""
        return self._from.models.has_own(twin)

    def forget(self, twin: str) -> None:
        self._twins.pop(twin, None)

    def clear(self) -> None:
        self._twins.clear()

    def broke(self, model: Served, reason: str) -> None:
        """A model that refused to speak is passed over for a while, if it is to blame."""
        self._from.refused(reason)
        if reason in BROKEN:
            self._broken[model.model_id] = self._from.monotonic() + BROKEN_SECONDS

    async def load(self, twin: str) -> dict[str, Tracked]:
        """Read anew: the properties that a model of its own foretells, or did until it was withdrawn.

        Raises what the stores raise while they are away.
        """
        state = await self._from.twins.state(twin)
        ids = [*(attached.model_id for attached in state.models.values()), *state.withdrawn.values()]
        served = [self._from.models.of(model_id) for model_id in ids]
        found: dict[str, Tracked] = {}
        for name in sorted({model.name for model in served if model is not None}) if state.exists else ():
            tracked = await self._track(twin, state, name)
            if tracked is not None:
                found[name] = tracked
        if None not in served:  # else the tail of models is not there yet
            self._twins[twin] = found
            while len(self._twins) > MOST_TWINS:
                self._twins.popitem(last=False)
        return found

    async def _track(self, twin: str, state: TwinState, name: str) -> Tracked | None:
        cell, now = state.cells.get(name), self._from.monotonic()
        if cell is None or isinstance(cell.value, bool) or not isinstance(cell.value, int | float):
            return None
        chosen = candidates(state, name, self._from.models)
        for model in chosen:
            if self._broken.get(model.model_id, now) > now:
                continue
            try:
                fitted, window = await self._fitted(twin, model, cell)
            except NoForecastError as error:
                self.broke(model, error.reason)
                continue
            rivals = [each for each in chosen if not each.personal and (each.run, each.spec) == (model.run, model.spec)]
            rival = rivals[0] if model.personal and rivals else None
            tracked = Tracked(fitted, rival, window.times_us.tolist(), list(map(float, window.values)), cell.unit)
            if not tracked.times_us:
                tracked.times_us, tracked.values = [cell.observed_at_us], [float(cell.value)]
            tracked.take(cell.observed_at_us, float(cell.value))  # history may be a moment behind
            return tracked
        return None

    async def _fitted(self, twin: str, model: Served, cell: Cell) -> tuple[Fitted, Readings]:
        """With the window that it reads. Raises NoForecastError."""
        if model.unit not in ("", cell.unit):
            raise NoForecastError(OTHER)
        span = (model.input + 2) * model.period_us if model.personal else SPAN_US
        past = await self.past(twin, model.name, cell.observed_at_us + 1, span)
        fitted = await self._from.predictor.fit(model, past)
        return fitted, past.part(max(0, len(past) - model.input - 1), len(past))

    async def past(self, twin: str, name: str, end_us: int, span_us: int = SPAN_US) -> Readings:
        """The readings of a span before `end_us`. Raises NoForecastError, and what the stores raise while away."""
        try:
            found = await self._from.past.readings(twin, name, (end_us - span_us, end_us))
        except (DidError, Problem) as error:
            if isinstance(error, Problem) and error.row.retry == "later":
                raise
            raise NoForecastError(OTHER) from error
        if found.numbers is None:
            raise NoForecastError(OTHER)
        return found
