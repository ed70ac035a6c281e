"""Changes of twins as they come, for whoever watches one: the last few thousand are kept, so that a reader can resume.

Every process that serves streams reads the whole topic, from its end on. data-path.md section 14.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from didymos.twin.v1.twin_events_pb2 import ChangeBody, TwinChanged
from didymos_contracts.errors import Problem
from didymos_contracts.topics import TWIN_CHANGED
from didymos_kit import log
from didymos_kit.eventlog import EventLog, Part, Start, Stored
from didymos_kit.eventlog.envelope import event_type
from didymos_kit.service import Stopping

from didymos_twin_state.adapters.seals import VaultSeals
from didymos_twin_state.application.ports import SealedBlob

KEPT: Final = 4096
QUEUE: Final = 256
POLL_SECONDS: Final = 0.05
RETRY_SECONDS: Final = 0.5
CHANGED: Final = TwinChanged.DESCRIPTOR.full_name
CHANGE_PATH: Final = "*"


@dataclass(frozen=True, slots=True)
class OpenChange:
    """One change, opened: `body` is None if its key was destroyed."""

    id: str
    said: TwinChanged
    body: ChangeBody | None


class Subscription:
    """Changes of one twin that nobody took yet. `lagged`: more than 256 waited, and it was given up."""

    def __init__(self) -> None:
        self._waiting: deque[Stored] = deque()
        self._came = asyncio.Event()
        self.lagged = False
        self.resumed = True

    def put(self, record: Stored) -> None:
        if len(self._waiting) >= QUEUE:
            self.lagged = True
        else:
            self._waiting.append(record)
        self._came.set()

    async def next(self) -> Stored | None:
        """The next change; None when it lagged."""
        while not self._waiting:
            if self.lagged:
                return None
            self._came.clear()
            await self._came.wait()
        return self._waiting.popleft()


class ChangeFeed:
    """One reader of didymos.twin.changed.v1 for all streams of this process. `run` it as a loop."""

    def __init__(self, event_log: EventLog, seals: VaultSeals, name: str) -> None:
        self._log, self._seals, self._name = event_log, seals, name
        self._kept: deque[Stored] = deque()
        self._whole_from: dict[int, int] = {}  # partition: the offset from which on all is kept
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
        for part, start in starts.items():
            self._whole_from.setdefault(part.partition, start)
        self.ready.set()
        return {part: self._following(part, start) for part, start in starts.items()}

    async def revoked(self, parts: frozenset[Part]) -> None:
        """Nothing to store."""

    def _following(self, part: Part, end: int) -> int:
        """Go on where this process stood, so that nothing is left out over a rebalance."""
        kept = [record.offset for record in self._kept if record.partition == part.partition]
        return max(kept) + 1 if kept else min(end, self._whole_from[part.partition])

    def _take(self, records: Sequence[Stored]) -> None:
        for record in records:
            self._kept.append(record)
            if len(self._kept) > KEPT:
                gone = self._kept.popleft()
                self._whole_from[gone.partition] = gone.offset + 1
            for subscription in self._watched.get(record.key, ()):
                subscription.put(record)

    @contextmanager
    def watch(self, twin: str, after: tuple[int, int] | None) -> Iterator[Subscription]:
        """Changes of `twin` from now on, or all after the (partition, offset) seen last.

        If that is not kept any more, `resumed` is false: the reader takes the state afresh.
        """
        subscription, key = Subscription(), twin.encode()
        if after is not None:
            part, offset = after
            subscription.resumed = offset + 1 >= self._whole_from.get(part, 1 << 62)
            for record in self._kept if subscription.resumed else ():
                if record.key == key and record.partition == part and record.offset > offset:
                    subscription.put(record)
        self._watched.setdefault(key, set()).add(subscription)
        try:
            yield subscription
        finally:
            self._watched[key].discard(subscription)
            if not self._watched[key]:
                del self._watched[key]

    async def opened(self, record: Stored) -> OpenChange | None:
        """None for what is no change of a state (a refused command, a device that equivocated)."""
        if event_type(record.headers) != CHANGED:
            return None
        said = TwinChanged.FromString(record.value or b"")
        blob = SealedBlob(said.key_epoch, said.salt, said.sealed)
        plain = await self._seals.open_blob(said.twin, blob, CHANGE_PATH) if said.sealed else None
        return OpenChange(str(record.position), said, None if plain is None else ChangeBody.FromString(plain))
