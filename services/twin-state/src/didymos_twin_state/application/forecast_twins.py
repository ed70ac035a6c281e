"""Forecasts as readings come: all twins of a batch of changes at once, grouped by what their models share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final, Protocol, TypeAlias
from uuid import UUID, uuid5

from didymos_kit.clock import Clock

from didymos_twin_state.application.predictions import NoForecastError, forecast_of
from didymos_twin_state.application.track_twins import Fleet, Sources, Tracked
from didymos_twin_state.application.write_twin import WriteLog
from didymos_twin_state.domain.command import Command, WithdrawModel
from didymos_twin_state.domain.forecast import Made
from didymos_twin_state.domain.twin import Model

GAP: Final = "gap"
GAP_SECONDS: Final = 2.5  # by then what was applied is in history
REVIEW_SECONDS: Final = 3600.0  # between two replays of the past of one twin
REVIEW_SHARE: Final = 4.0  # as many times as long as a replay took, none follows
DRIFT: Final = "drift"
_IDS: Final = UUID("0b9a1f52-6c3d-5e44-9a3b-7f0f4f6f5c21")  # the name space of withdrawals
Key: TypeAlias = tuple[str, str]
Due: TypeAlias = tuple[float, int, Key, Tracked | None]


@dataclass(frozen=True, slots=True)
class News:
    """What a change said of a twin: its newest readings by property (time, value, unit).

    `restated`: models or life changed, so that what is known of it is read anew.
    """

    twin: str
    readings: Mapping[str, tuple[int, float, str]] = field(default_factory=dict)
    restated: bool = False


class Book(Protocol):
    async def keep(self, made: Sequence[Made]) -> None:
        """Store all in one transaction, then publish them in one go. Raises what the stores raise while away."""


@dataclass(frozen=True, slots=True)
class Forecasters:
    """What forecasts of many twins are made with. `source` names this service; `spoke` hears of each forecast."""

    sources: Sources
    book: Book
    writes: WriteLog
    clock: Clock
    source: str
    spoke: Callable[[str], None]


class Rounds:
    """Forecasts of batches, and replays between them. Not for two tasks at once."""

    def __init__(self, parts: Forecasters) -> None:
        self._parts, self.fleet = parts, Fleet(parts.sources)
        self._due: list[Due] = []  # replays
        self._gaps: list[Due] = []
        self._number = 0
        self._free_at = 0.0

    async def forecast(self, news: Sequence[News]) -> int:
        """Forecasts of all twins that these changes, or gaps that may be closed by now, ask for; how many were made.

        A model that refuses its twin is passed over for the next: no other twin waits for it. Raises what the stores
        raise while they are away: then nothing of it was kept, and all may be told again.
        """
        asked: dict[Key, Tracked] = {}
        for twin in self._closed():
            asked |= await self._loaded(twin, again=False)
        for each in news:
            asked |= await self._noted(each)
        if not asked:
            return 0
        made, refused = await self._predicted(asked)
        if refused:
            again: dict[Key, Tracked] = {}
            for twin in {twin for twin, _ in refused}:
                self.fleet.forget(twin)
                again |= await self._loaded(twin)
            more, lost = await self._predicted({key: again[key] for key in refused if key in again})
            made += more
            for _ in range(len(refused) - len(more)):
                self._parts.spoke("none")
            for twin, _ in lost:
                self.fleet.forget(twin)
        await self._parts.book.keep(made)
        for each_made in made:
            self._parts.spoke("personal" if each_made.forecast.personal else "shared")
        return len(made)

    async def review(self) -> bool:
        """Replay the past of one twin that is due; whether its own model was withdrawn.

        Raises what the stores raise while they are away: then it stays due.
        """
        now = self._parts.clock.monotonic()
        while self._due and not self._tracks(*self._due[0][2:]):  # read anew since, or forgotten
            heappop(self._due)
        if now < self._free_at or not self._due or self._due[0][0] > now:
            return False
        key, tracked = self._due[0][2:]
        gone = tracked is not None and await self._reviewed(key, tracked)
        heappop(self._due)
        after = self._parts.clock.monotonic()
        self._free_at = after + REVIEW_SHARE * (after - now)
        if not gone:
            self._schedule(self._due, after + REVIEW_SECONDS, key, tracked)
        return gone

    def _tracks(self, key: Key, tracked: Tracked | None) -> bool:
        """Whether this is what is known of the property now."""
        return tracked is not None and self.fleet.has(*key, tracked)

    async def _reviewed(self, key: Key, tracked: Tracked) -> bool:
        twin, name = key
        sources = self._parts.sources
        try:
            past = await self.fleet.past(twin, name, tracked.times_us[-1] + 1)
            tracked.watching = await sources.predictor.watch(tracked.fitted, past)
            if tracked.rival is None:
                return False
            shared = await sources.predictor.fit(tracked.rival, past)
            if await sources.predictor.earns(tracked.fitted, shared, past):
                return False
        except NoForecastError:
            return False
        served = tracked.fitted.model
        body = WithdrawModel(Model(served.model_id, served.task, personal=True), DRIFT)
        command = uuid5(_IDS, f"{twin}|{served.model_id}").bytes
        now_us = self._parts.clock.now_us()
        await self._parts.writes.append(Command(command, twin, self._parts.source, "", now_us, body))
        return True

    def _schedule(self, heap: list[Due], at: float, key: Key, tracked: Tracked | None) -> None:
        self._number += 1
        heappush(heap, (at, self._number, key, tracked))

    def _closed(self) -> set[str]:
        """Twins whose windows had a gap when they were read: those whose time has come."""
        now, found = self._parts.clock.monotonic(), set[str]()
        while self._gaps and self._gaps[0][0] <= now:
            _, _, (twin, name), tracked = heappop(self._gaps)
            late = tracked is None and self.fleet.concerns(twin)
            if late or self._tracks((twin, name), tracked):
                self.fleet.forget(twin)
                found.add(twin)
        return found

    async def _noted(self, news: News) -> dict[Key, Tracked]:
        if news.restated:
            self.fleet.forget(news.twin)
        known = self.fleet.known(news.twin)
        if known is None:
            loaded = await self._loaded(news.twin) if self.fleet.concerns(news.twin) else {}
            if news.restated and self.fleet.known(news.twin) is None:  # its model may be told of in a moment
                self._schedule(self._gaps, self._parts.clock.monotonic() + GAP_SECONDS, (news.twin, ""), None)
            return loaded
        found: dict[Key, Tracked] = {}
        for name, (at_us, value, unit) in news.readings.items():
            tracked = known.get(name)
            if tracked is None:
                continue
            if unit != tracked.unit:
                self.fleet.forget(news.twin)
                return await self._loaded(news.twin)
            if tracked.take(at_us, value):
                found[news.twin, name] = tracked
        return found

    async def _loaded(self, twin: str, *, again: bool = True) -> dict[Key, Tracked]:
        """`again`: a window with a gap is read once more, when history is further."""
        loaded = await self.fleet.load(twin)
        now = self._parts.clock.monotonic()
        for name, tracked in loaded.items():
            tracked.again = again
            self._schedule(self._due, now, (twin, name), tracked)
        return {(twin, name): tracked for name, tracked in loaded.items()}

    async def _predicted(self, asked: Mapping[Key, Tracked]) -> tuple[list[Made], list[Key]]:
        """What was made, and whose model refused."""
        found = await self._parts.sources.predictor.predict(
            [(tracked.fitted, tracked.readings) for tracked in asked.values()]
        )
        made, refused, now_us = list[Made](), list[Key](), self._parts.clock.now_us()
        for (key, tracked), said in zip(asked.items(), found, strict=True):
            if isinstance(said, NoForecastError):
                self._refuse(key, tracked, said, refused)
                continue
            tracked.again = False
            watching, last_us = tracked.watching, tracked.times_us[-1]
            made_now = forecast_of(tracked.fitted, said, last_us, tracked.unit, now_us, watching)
            width = (made_now.high - made_now.low) / 2
            tracked.made[made_now.at_us] = (made_now.mean, width)
            made.append(Made(*key, made_now, last_us, tracked.values[-1], watched=watching is not None))
        return made, refused

    def _refuse(self, key: Key, tracked: Tracked, why: NoForecastError, refused: list[Key]) -> None:
        if why.reason != GAP:
            self.fleet.broke(tracked.fitted.model, why.reason)
            refused.append(key)
            return
        self._parts.sources.refused(GAP)
        self._parts.spoke("none")
        if tracked.again:
            tracked.again = False
            self._schedule(self._gaps, self._parts.clock.monotonic() + GAP_SECONDS, key, tracked)
