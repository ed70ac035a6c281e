"""From the outbox to the log: one process at a time, in order, and nothing left behind. platform.md 6, ADR 13."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from didymos_contracts.errors import Problem
from didymos_contracts.metrics import OUTBOX_AGE_SECONDS, OUTBOX_RELAYED_TOTAL
from didymos_contracts.topics import Topic
from didymos_kit import log
from didymos_kit.clock import Clock
from didymos_kit.database import outbox
from didymos_kit.database.engine import Database
from didymos_kit.database.lease import RENEW_SECONDS, Lease, LeaseLostError
from didymos_kit.eventlog.port import EventLog, FencedError, Position, Writer
from didymos_kit.faults import fault_point
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics, service_label

BATCH: Final = 500
POLL_SECONDS: Final = 0.1  # for rows of other replicas; our own commits wake us
RETRY_SECONDS: Final = 0.2
REMEMBERED: Final = 10_000
TOKEN_PREFIX: Final[Mapping[Topic, str]] = {
    Topic("didymos.readings.v1"): "",
    Topic("didymos.twin.write.v1"): "w",
    Topic("didymos.identity.v1"): "i",
    Topic("didymos.consent.v1"): "c",
    Topic("didymos.twin.profile.v1"): "p",
}


class Relay:
    """`run` is a loop of the service. `placed` tells where the events of a transaction of this process came to lie."""

    def __init__(
        self, database: Database, event_log: EventLog, clock: Clock, metrics: Metrics | None = None,
        *, poll_seconds: float = POLL_SECONDS,
    ) -> None:  # fmt: skip
        self._database, self._event_log, self._clock = database, event_log, clock
        self._poll_seconds = poll_seconds
        self._woken = asyncio.Event()
        self._lease = Lease(database)
        self._placed: OrderedDict[int, Position] = OrderedDict()
        self._waiting: dict[int, asyncio.Future[Position]] = {}
        self._idle_since: float | None = None
        self.epoch = 0
        made = metrics or Metrics()
        self._relayed = made.counter(OUTBOX_RELAYED_TOTAL, service=service_label(database.name))
        self._oldest_ms: int | None = None  # of the rows in hand
        made.watch(OUTBOX_AGE_SECONDS, self.age_seconds, service=service_label(database.name))
        database.on_commit(self._woken.set)

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    def idle_since(self) -> float | None:
        """On the clock's monotonic scale: when the last look began that found nothing left. None: rows wait, or nobody
        relays here."""
        return self._idle_since

    def age_seconds(self) -> float:
        """Age of the oldest row that this process has in hand; 0: nothing waits, or another process relays."""
        return 0.0 if self._oldest_ms is None else max(0.0, self._clock.now_us() / 1e6 - self._oldest_ms / 1e3)

    async def placed(self, rows: Sequence[int], seconds: float) -> tuple[Position, ...] | None:
        """Where these rows lie in the log; None if that is not known in time: another process relays, or it is away."""
        found = {row: self._placed[row] for row in rows if row in self._placed}
        waiting = {row: self._future(row) for row in rows if row not in found}
        if waiting:
            try:
                async with asyncio.timeout(seconds):
                    await asyncio.gather(*map(asyncio.shield, waiting.values()))
            except TimeoutError:
                return None
            finally:
                for row in waiting:
                    self._waiting.pop(row, None)
            found.update({row: future.result() for row, future in waiting.items()})
        return tuple(found[row] for row in rows)

    async def run(self, stopping: Stopping) -> None:
        """Relay until the process stops; a lease that is lost, a fence or an outage only ends the term."""
        while not stopping:
            try:
                epoch = await self._lease.take()
                if epoch is None:
                    await stopping.within(RENEW_SECONDS / 2)
                    continue
                self.epoch = epoch
                async with self._event_log.writer(f"{self._database.name}.relay", fenced=True) as writer:
                    await self._term(epoch, writer, stopping)
                await self._lease.release(epoch)
            except (LeaseLostError, FencedError) as lost:
                log.get().warning("outbox.term_lost", database=self._database.name, error=type(lost).__name__)
            except Problem as problem:
                if problem.row.retry != "later":
                    raise
                log.get().warning("outbox.waits", database=self._database.name, code=problem.row.code)
            self._idle_since = None
            await stopping.within(RETRY_SECONDS)

    async def _term(self, epoch: int, writer: Writer, stopping: Stopping) -> None:
        renewed = self._clock.monotonic()
        while True:
            self._woken.clear()
            begun = self._clock.monotonic()
            async with self._database.read() as connection:
                rows = await outbox.oldest(connection, BATCH)
            self._oldest_ms = rows[0].record.at_ms if rows else None
            if rows:
                self._idle_since = None
                fault_point("relay.read")
                positions = await writer.append([row.record for row in rows])
                fault_point("relay.appended")
                self._remember([row.id for row in rows], positions)
                await self._lease.remove(epoch, [row.id for row in rows])
                renewed = self._clock.monotonic()
                self._relayed.inc(len(rows))
                continue
            self._idle_since = begun
            if stopping:
                return
            if begun - renewed >= RENEW_SECONDS:
                await self._lease.renew(epoch)
                renewed = begun
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._woken.wait()

    def _future(self, row: int) -> asyncio.Future[Position]:
        if row not in self._waiting:
            self._waiting[row] = asyncio.get_running_loop().create_future()
        return self._waiting[row]

    def _remember(self, rows: Sequence[int], positions: Sequence[Position]) -> None:
        for row, position in zip(rows, positions, strict=True):
            self._placed[row] = position
            waiter = self._waiting.get(row)
            if waiter is not None and not waiter.done():
                waiter.set_result(position)
        while len(self._placed) > REMEMBERED:
            self._placed.popitem(last=False)


def token_of(positions: Sequence[Position]) -> str:
    """The consistency token of these positions: `i3:88,c4:9`. Of one partition the last place is said."""
    last: dict[tuple[str, int], int] = {}
    for position in positions:
        prefix = TOKEN_PREFIX.get(position.topic)
        if prefix is not None:
            place = (prefix, position.partition)
            last[place] = max(last.get(place, -1), position.offset)
    return ",".join(f"{prefix}{partition}:{offset}" for (prefix, partition), offset in sorted(last.items()))
