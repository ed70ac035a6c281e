"""Changes of twins as they come, for whoever watches some; the last are kept, so that a reader can resume.

Every process that serves streams reads the whole topic, from its end on. data-path.md section 14.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from didymos.twin.v1.twin_events_pb2 import ChangeBody, ForecastBody, TwinChanged, TwinForecast
from didymos_contracts.errors import Problem
from didymos_contracts.topics import TWIN_CHANGED
from didymos_kit import log
from didymos_kit.eventlog import EventLog, Part, Start, Stored
from didymos_kit.eventlog.envelope import event_type
from didymos_kit.eventlog.partition import partition_of
from didymos_kit.service import Stopping

from didymos_twin_state.adapters.recent_changes import RecentChanges
from didymos_twin_state.adapters.seals import VaultSeals
from didymos_twin_state.application.permits import feature
from didymos_twin_state.application.ports import SealedBlob

QUEUE: Final = 256
QUEUE_BYTES: Final = 1 << 20
POLL_SECONDS: Final = 0.05
RETRY_SECONDS: Final = 0.5
CHANGED: Final = TwinChanged.DESCRIPTOR.full_name
FORECAST: Final = TwinForecast.DESCRIPTOR.full_name
CHANGE_PATH: Final = "*"


@dataclass(frozen=True, slots=True)
class OpenChange:
    """One change, opened: `body` is None if its key was destroyed."""

    said: TwinChanged
    body: ChangeBody | None


@dataclass(frozen=True, slots=True)
class OpenForecast:
    """A forecast as it was published, opened: `body` is None if its key was destroyed."""

    said: TwinForecast
    body: ForecastBody | None


class Subscription:
    """Changes of some twins that nobody took yet, and how far their partitions were seen.

    Of a reader that is too slow, more than 256 of them or 1 MiB, it is given up (`lagged`); or with `coalesce` what
    waits is dropped, and the state of its twins has to be taken `afresh` before anything that follows.
    """

    def __init__(self, *, coalesce: bool = False, afresh: Iterable[str] = ()) -> None:
        self._waiting: deque[Stored] = deque()
        self._bytes = 0
        self._came = asyncio.Event()
        self._coalesce = coalesce
        self.places: dict[int, int] = {}
        self.afresh: set[str] = set(afresh)
        self.lagged = False

    @property
    def place(self) -> str:
        """After which records of which partitions to go on: the id of what is delivered now."""
        return ",".join(f"{part}:{offset}" for part, offset in sorted(self.places.items()))

    def put(self, record: Stored) -> None:
        size = len(record.value or b"")
        if len(self._waiting) >= QUEUE or self._bytes + size > QUEUE_BYTES:
            if self._coalesce:
                self._drop((*self._waiting, record))
            else:
                self.lagged = True
        else:
            self._waiting.append(record)
            self._bytes += size
        self._came.set()

    def wake(self) -> None:
        """Let `take` return, with what there is."""
        self._came.set()

    async def take(self) -> Sequence[Stored] | None:
        """The next change, with `coalesce` all that wait; none if there is something else to look at.

        None when it lagged.
        """
        if not self._waiting and not self.afresh:
            if self.lagged:
                return None
            self._came.clear()
            await self._came.wait()
        if self._waiting and not self.afresh:
            taken = [*self._waiting] if self._coalesce else [self._waiting[0]]
            for record in taken:
                self._waiting.popleft()
                self._bytes -= len(record.value or b"")
                self.places[record.partition] = record.offset
            return taken
        return []

    def _drop(self, records: Iterable[Stored]) -> None:
        for record in records:
            self.afresh.add(record.key.decode())
            self.places[record.partition] = record.offset
        self._waiting.clear()
        self._bytes = 0


class ChangeFeed:
    """One reader of didymos.twin.changed.v1 for all streams of this process. `run` it as a loop."""

    def __init__(self, event_log: EventLog, seals: VaultSeals, name: str) -> None:
        self._log, self._seals, self._name = event_log, seals, name
        self.recent = RecentChanges()
        self._watched: dict[bytes, set[Subscription]] = {}
        self.ready = asyncio.Event()

    async def run(self, stopping: Stopping) -> None:
        async with self._log.group(f"twin-state.live.{self._name}", [TWIN_CHANGED.name], self) as group:
            while not stopping:
                try:
                    for records in (await group.poll(timeout_seconds=POLL_SECONDS)).values():
                        self._take(records)
                except Problem as problem:
                    if problem.row.retry != "later":
                        raise
                    log.get().warning("log.poll_failed", group=self._name, code=problem.row.code)
                    await stopping.within(RETRY_SECONDS)

    async def assigned(self, parts: frozenset[Part]) -> Mapping[Part, Start]:
        ends = await self._log.ends([TWIN_CHANGED.name])
        starts = {part: ends.get(part, 0) for part in parts}
        self.ready.set()  # and go on where this process stood, so that nothing is left out over a rebalance
        return {part: min(self.recent.begin(part.partition, start), start) for part, start in starts.items()}

    async def revoked(self, parts: frozenset[Part]) -> None:
        """Nothing to store."""

    def _take(self, records: Sequence[Stored]) -> None:
        for record in records:
            self.recent.add(record)
            for subscription in self._watched.get(record.key, ()):
                subscription.put(record)

    @contextmanager
    def watch(
        self, twins: Collection[str], after: Mapping[int, int] | None = None, *, coalesce: bool = False
    ) -> Iterator[Subscription]:
        """Changes of `twins` from now on, or all after the offsets that were seen last, by partition.

        Where they are not kept any more, or were never seen, the state of the twin has to be taken afresh.
        """
        parts = {twin: partition_of(twin.encode(), TWIN_CHANGED.partitions) for twin in twins}
        subscription = self._resumed(parts, after, coalesce=coalesce)
        for key in map(str.encode, parts):
            self._watched.setdefault(key, set()).add(subscription)
        try:
            yield subscription
        finally:
            for key in map(str.encode, parts):
                self._watched[key].discard(subscription)
                if not self._watched[key]:
                    del self._watched[key]

    def _resumed(self, parts: Mapping[str, int], after: Mapping[int, int] | None, *, coalesce: bool) -> Subscription:
        """With what came after the places that were seen, unless that is more than a reader may have waiting."""
        seen = {} if after is None else {part: after[part] for part in set(parts.values()) if part in after}
        kept = {part: offset for part, offset in seen.items() if self.recent.keeps(part, offset)}
        missed = [record for part, offset in kept.items() for record in self.recent.after(part, offset)]
        missed = [record for record in missed if record.key.decode() in parts]
        if len(missed) > QUEUE or sum(len(record.value or b"") for record in missed) > QUEUE_BYTES:
            kept, missed = {}, []
        lost = () if after is None else [twin for twin, part in parts.items() if part not in kept]
        subscription = Subscription(coalesce=coalesce, afresh=lost)
        for part in set(parts.values()):
            place = kept.get(part, self.recent.end(part))
            if place is not None:
                subscription.places[part] = place
        for record in missed:
            subscription.put(record)
        return subscription

    async def opened(self, record: Stored) -> OpenChange | None:
        """None for what is no change of a state (a refused command, a device that equivocated)."""
        if event_type(record.headers) != CHANGED:
            return None
        said = TwinChanged.FromString(record.value or b"")
        blob = SealedBlob(said.key_epoch, said.salt, said.sealed)
        plain = await self._seals.open_blob(said.twin, blob, CHANGE_PATH) if said.sealed else None
        return OpenChange(said, None if plain is None else ChangeBody.FromString(plain))

    async def forecast(self, record: Stored) -> OpenForecast | None:
        """None for what is no forecast."""
        if event_type(record.headers) != FORECAST:
            return None
        said = TwinForecast.FromString(record.value or b"")
        blob = SealedBlob(said.key_epoch, said.salt, said.sealed)
        plain = await self._seals.open_blob(said.twin, blob, feature(said.property))
        return OpenForecast(said, None if plain is None else ForecastBody.FromString(plain))
