"""Grants by twin, from the tail of `didymos.consent.v1`, and how fresh that is. identity.md section 8."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final

from didymos.identity.v1.identity_events_pb2 import IdentityHeartbeat
from didymos_contracts.metrics import CONSENT_SUPERSEDED_TOTAL
from didymos_contracts.topics import CONSENT, IDENTITY
from didymos_did import Grant, GrantId, TwinId

from didymos_kit.clock import Clock
from didymos_kit.eventlog.port import Position, Stored, Tail
from didymos_kit.tails.consent_events import grant_from_consent
from didymos_kit.telemetry.metrics import Metrics

STALE_SECONDS: Final = 5.0
_NONE: Final[Mapping[GrantId, Grant]] = MappingProxyType({})


class Changes:
    """Tells that a grant of one twin changed since the last `wait`, or since this was opened."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    async def wait(self) -> None:
        await self.changed.wait()
        self.changed.clear()


class ConsentTail:
    """One writer, one event loop: no lock. Blind to order and repeats: the higher revision holds.

    Fresh means: the relay of identity said lately that nothing waits, and the tails are where it said the topics end.
    """

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._by_twin: dict[TwinId, Mapping[GrantId, Grant]] = {}
        self._watchers: dict[TwinId, set[Changes]] = {}
        self._clock = clock
        self._superseded = metrics.counter(CONSENT_SUPERSEDED_TOTAL)
        self._fresh_at = -math.inf
        self._beat: tuple[float, IdentityHeartbeat] | None = None
        self._beaten = asyncio.Event()
        self._refreshed = asyncio.Event()

    def apply(self, record: Stored) -> None:
        """Raises for bytes that are no ConsentChanged: the tail halts, and stale means deny."""
        if record.value is None:  # tombstone of a grant that ended 7 days ago: what is held denies already
            return
        grant = grant_from_consent(record.value)
        known = self._by_twin.get(grant.twin, _NONE)
        if grant.id in known and known[grant.id].revision >= grant.revision:
            self._superseded.inc()
            return
        self._by_twin[grant.twin] = {**known, grant.id: grant}  # a new mapping: readers keep the one they hold
        for watcher in self._watchers.get(grant.twin, ()):
            watcher.changed.set()

    def beat(self, record: Stored) -> None:
        """A heartbeat: it counts once the tails are where it points. An old one counts as old as it is."""
        if record.value is None:
            return
        said = IdentityHeartbeat.FromString(record.value)
        age = max(said.age_ms / 1000, self._clock.now_us() / 1e6 - record.at_ms / 1000)
        self._beat = (self._clock.monotonic() - age, said)
        self._beaten.set()

    def grants(self, twin: TwinId) -> tuple[Grant, ...]:
        """All that were registered for it, ended ones too."""
        return tuple(self._by_twin.get(twin, _NONE).values())

    def twins(self) -> tuple[TwinId, ...]:
        """Twins that anybody was granted anything of."""
        return tuple(self._by_twin)

    def staleness_seconds(self) -> float:
        """Age of what is known; denial begins at 5 s."""
        return max(0.0, self._clock.monotonic() - self._fresh_at)

    @property
    def fresh(self) -> bool:
        return self.staleness_seconds() <= STALE_SECONDS

    async def until_fresh(self) -> None:
        """Return once a heartbeat counts that is young enough. Deadlines are the caller's."""
        while not self.fresh:
            self._refreshed.clear()
            await self._refreshed.wait()

    @asynccontextmanager
    async def changes(self, twin: TwinId) -> AsyncIterator[Changes]:
        """Look at the grants after this was entered, then `wait` for the next change."""
        watcher = Changes()
        self._watchers.setdefault(twin, set()).add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[twin].discard(watcher)
            if not self._watchers[twin]:
                del self._watchers[twin]

    async def measure(self, consent: Tail, identity: Tail) -> None:
        """Until cancelled: let each heartbeat count once both tails are where it says."""
        while True:
            await self._beaten.wait()
            self._beaten.clear()
            if self._beat is None:
                continue
            at, said = self._beat
            async with asyncio.TaskGroup() as both:
                both.create_task(consent.wait(_reached(CONSENT.name, said.consent_next)))
                both.create_task(identity.wait(_reached(IDENTITY.name, said.identity_next)))
            self._fresh_at = max(self._fresh_at, at)
            self._refreshed.set()


def _reached(topic: str, following: Sequence[int]) -> list[Position]:
    """The last place of each partition that holds something."""
    return [Position(topic, part, offset - 1) for part, offset in enumerate(following) if offset > 0]  # type: ignore[arg-type] # a Topic
