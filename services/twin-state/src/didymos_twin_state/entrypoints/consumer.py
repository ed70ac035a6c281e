"""The worker: one loop that owns partitions of twins, reads both their inputs and keeps its own offsets.

data-path.md 8 to 10. An error that passes holds its partition, a record that can never be read is dead-lettered and
its offset moves on, and a partition that another worker took, or whose store moved, is claimed anew or dropped.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsAccepted
from didymos.twin.v1.twin_events_pb2 import TwinWrite
from didymos_contracts.errors import Problem
from didymos_contracts.metrics import (
    LOG_DEAD_LETTERS_TOTAL,
    LOG_HELD_PARTITIONS,
    TWIN_APPLY_SECONDS,
    TWIN_QUALITY_READINGS_TOTAL,
    TWIN_READING_TO_STATE_SECONDS,
    TWIN_READINGS_APPLIED_TOTAL,
)
from didymos_contracts.topics import READINGS, TWIN_WRITE
from didymos_kit import log
from didymos_kit.clock import Clock
from didymos_kit.eventlog import EventLog, Group, Part, StaleCommitError, Start, Stored
from didymos_kit.eventlog.consume import POLL_FAILURES
from didymos_kit.eventlog.dead import dead_letter, permanent_code
from didymos_kit.eventlog.lane import full_jitter
from didymos_kit.service import Stopping
from didymos_kit.telemetry import tracing
from didymos_kit.telemetry.metrics import Metrics

from didymos_twin_state.adapters.protobuf import command_of
from didymos_twin_state.adapters.readings import names_of, open_record, parse_record
from didymos_twin_state.adapters.seals import Name
from didymos_twin_state.application.apply_batch import Counts, Partition, ReadingRecord, WriteRecord
from didymos_twin_state.application.ports import Fenced, Marks, Moved, Seals

GROUP: Final = "twin-state.apply"
TOPICS: Final = (READINGS.name, TWIN_WRITE.name)
CHECKPOINT_SECONDS: Final = (0.1, 2.0)  # between two of one partition: at least, at most
CHECKPOINT_SHARE: Final = 5  # as many times as long as storing all that is unsaved takes
COMMIT_SECONDS: Final = 5.0
SLICE: Final = 32  # records applied between two looks at the event loop
POLL_SECONDS: Final = 0.1
RETRY_SECONDS: Final = 0.5
BANDS: Final = ("poor", "fair", "good")
FAIR, GOOD = 50, 80  # the least quality of a band


@dataclass(slots=True)
class Owned:
    """A partition in hand: what was polled and not applied yet, and when to try again after an error that passes."""

    number: int
    partition: Partition
    readings: deque[Stored] = field(default_factory=deque)
    writes: deque[Stored] = field(default_factory=deque)
    lost: bool = False  # another worker took it, or a store is not where it was: to be claimed anew
    failures: int = 0
    retry_at: float = 0.0
    stored_at: float = 0.0
    counted: Counts = field(default_factory=Counts)

    @property
    def parts(self) -> tuple[Part, Part]:
        return Part(READINGS.name, self.number), Part(TWIN_WRITE.name, self.number)


@dataclass(frozen=True, slots=True)
class WorkerPorts:
    """What a worker works with. `partition` makes the state machine of one; `warm` fetches keys together."""

    event_log: EventLog
    partition: Callable[[int], Partition]
    seals: Seals
    warm: Callable[[Sequence[Name]], Awaitable[None]]
    clock: Clock
    metrics: Metrics


class Worker:
    """`name` tells this worker from others in the checkpoint table. `run` it as a loop of the process."""

    def __init__(self, ports: WorkerPorts, name: str) -> None:
        self._ports, self._name = ports, name
        self._owned: dict[int, Owned] = {}
        self._applied = {
            outcome: ports.metrics.counter(TWIN_READINGS_APPLIED_TOTAL, outcome=outcome)
            for outcome in ("applied", "duplicate", "held")
        }
        self._bands = [ports.metrics.counter(TWIN_QUALITY_READINGS_TOTAL, band=band) for band in BANDS]
        self._held = ports.metrics.gauge(LOG_HELD_PARTITIONS, group=GROUP)
        self._buried = {topic: ports.metrics.counter(LOG_DEAD_LETTERS_TOTAL, topic=topic) for topic in TOPICS}
        self._seconds = ports.metrics.histogram(TWIN_APPLY_SECONDS)
        self._reached_after = ports.metrics.histogram(TWIN_READING_TO_STATE_SECONDS)
        self._committed_at = 0.0
        self._storing = 0.0  # seconds that a checkpoint took lately

    def parts(self) -> frozenset[int]:
        """The partitions in hand now."""
        return frozenset(number for number, owned in self._owned.items() if not owned.lost)

    async def run(self, stopping: Stopping) -> None:
        """Until `stopping`: then what is in hand is applied, stored and left to others.

        Raises `platform.unavailable` when nothing comes of many turns: another member may fare better.
        """
        event_log = self._ports.event_log
        async with event_log.writer(f"{GROUP}.dead") as self._dead, event_log.group(GROUP, TOPICS, self) as group:
            self._group: Group = group
            failures = 0
            while not stopping:
                try:
                    await self._turn(group)
                    failures = 0
                except Problem as problem:
                    failures += 1
                    if problem.row.retry != "later" or failures >= POLL_FAILURES:
                        raise
                    log.get().warning("log.poll_failed", group=GROUP, code=problem.row.code)
                    await stopping.within(RETRY_SECONDS)

    async def assigned(self, parts: frozenset[Part]) -> Mapping[Part, Start]:
        """Claim each partition; both its inputs start at its checkpoint."""
        ends = await self._ports.event_log.ends(TOPICS)
        starts: dict[Part, Start] = {}
        for number in sorted({part.partition for part in parts}):
            owned = self._owned[number] = Owned(number, self._ports.partition(number))
            try:
                marks = await self._claim(owned, ends)
            except (Fenced, Moved):  # of a store that is ahead of the other: each claim comes closer
                owned.lost = True
                continue
            starts.update(dict(zip(owned.parts, (marks.readings, marks.writes), strict=True)))
        return starts

    async def revoked(self, parts: frozenset[Part]) -> None:
        """Store what was applied and forget it; what was only polled is for the next owner."""
        for number in {part.partition for part in parts}:
            owned = self._owned.pop(number, None)
            if owned is None:
                continue
            try:
                await owned.partition.checkpoint()
            except (Fenced, Moved):
                log.get().warning("twin.partition_lost", partition=number)
            except Exception as error:  # the log replays what is not stored
                log.get().warning("twin.checkpoint_failed", partition=number, error=type(error).__name__)

    async def _turn(self, group: Group) -> None:
        for part, records in (await group.poll(timeout_seconds=POLL_SECONDS)).items():
            owned = self._owned[part.partition]
            if not owned.lost:
                (owned.readings if part.topic == READINGS.name else owned.writes).extend(records)
        now = self._ports.clock.monotonic()
        for owned in list(self._owned.values()):
            if owned.retry_at > now:
                continue
            if owned.lost:
                await self._guarded(owned, self._again)
            elif owned.readings or owned.writes or owned.failures:
                await self._guarded(owned, self._work)
            elif owned.partition.unsaved and now - owned.stored_at >= self._interval():
                await self._guarded(owned, self._store)
        self._held.set(sum(owned.lost or owned.failures > 0 for owned in self._owned.values()))
        await self._tell_lag(group, now)

    async def _guarded(self, owned: Owned, step: Callable[[Owned], Awaitable[None]]) -> None:
        """Do it; what another worker or a store that moved says is heard, an error that passes holds the partition."""
        try:
            await step(owned)
        except (Fenced, Moved) as lost:
            log.get().warning("twin.partition_moved", partition=owned.number, why=type(lost).__name__)
            owned.lost, owned.retry_at = True, 0.0
        except Exception as error:
            owned.failures += 1
            owned.retry_at = self._ports.clock.monotonic() + full_jitter(owned.failures)
            self._group.pause(owned.parts)
            log.get().warning(
                "twin.partition_held", partition=owned.number, attempt=owned.failures, error=type(error).__name__,
                said=str(error)[:200],
            )  # fmt: skip
        else:
            if owned.failures:
                owned.failures = 0
                self._group.resume(owned.parts)

    async def _work(self, owned: Owned) -> None:
        """In a span of the trace of the first sampled record, if there is one, linked to the others."""
        sampled = [found for record in (*owned.readings, *owned.writes) if (found := tracing.extract(record.headers))]
        if not sampled:
            await self._apply(owned)
            return
        with tracing.span("twin.apply_batch", kind=tracing.CONSUMER, parent=sampled[0], links=sampled[1:]):
            await self._apply(owned)

    async def _apply(self, owned: Owned) -> None:
        begun = self._ports.clock.monotonic()
        received_us = 0
        while owned.readings or owned.writes:
            slice_ = [owned.readings[at] for at in range(min(SLICE, len(owned.readings)))]
            if slice_:
                records, received_us = await self._opened(slice_)
                await owned.partition.readings(records)
                self._count_quality(records)
                for _ in slice_:
                    owned.readings.popleft()
            writes = [owned.writes[at] for at in range(min(SLICE, len(owned.writes)))]
            await owned.partition.writes([await self._parsed(record) for record in writes])
            for _ in writes:
                owned.writes.popleft()
            await asyncio.sleep(0)
        await owned.partition.flush()
        now = self._ports.clock.monotonic()
        self._seconds.observe(now - begun)
        if received_us:
            self._reached_after.observe(max(0, self._ports.clock.now_us() - received_us) / 1e6)
        self._count(owned)
        if now - owned.stored_at >= self._interval():
            await self._store(owned)

    async def _store(self, owned: Owned) -> None:
        begun = self._ports.clock.monotonic()
        await owned.partition.checkpoint()
        owned.stored_at = self._ports.clock.monotonic()
        self._storing += (owned.stored_at - begun - self._storing) / 4

    def _interval(self) -> float:
        """Seconds between two checkpoints of a partition: few while little is unsaved, so that history is near."""
        least, most = CHECKPOINT_SECONDS
        unsaved = sum(owned.partition.unsaved for owned in self._owned.values())
        return min(most, max(least, CHECKPOINT_SHARE * self._storing * unsaved))

    async def _opened(self, records: Sequence[Stored]) -> tuple[list[ReadingRecord], int]:
        """Records opened, and when the last of them was accepted. What cannot be read leaves its offset behind."""
        parsed: list[tuple[Stored, ReadingsAccepted | None]] = []
        for record in records:
            try:
                parsed.append((record, parse_record(record)))
            except Exception as error:
                await self._bury(record, error)
                parsed.append((record, None))
        await self._ports.warm([name for _, said in parsed if said is not None for name in names_of(said)])
        opened, received_us = [], 0
        for record, said in parsed:
            if said is None:
                opened.append(ReadingRecord(record.offset, ()))
                continue
            received_us = said.received_at_us
            try:
                opened.append(await open_record(record.offset, said, self._ports.seals))
            except Exception as error:
                await self._bury(record, error)
                opened.append(ReadingRecord(record.offset, ()))
        return opened, received_us

    async def _parsed(self, record: Stored) -> WriteRecord:
        try:
            return WriteRecord(record.offset, command_of(TwinWrite.FromString(record.value or b"")))
        except Exception as error:
            await self._bury(record, error)
            return WriteRecord(record.offset, None)

    async def _bury(self, record: Stored, error: Exception) -> None:
        """Keep the record aside. Raises `error` if it may pass: then the partition is held."""
        code = permanent_code(error)
        if code is None:
            raise error
        await self._dead.append([dead_letter(record, GROUP, code, self._ports.clock.now_us() // 1000)])
        self._buried[record.topic].inc()
        log.get().warning(
            "log.record_buried", topic=record.topic, partition=record.partition, offset=record.offset, code=code
        )

    async def _claim(self, owned: Owned, ends: Mapping[Part, int]) -> Marks:
        """Begin at the checkpoint. What can be shown at once is shown: readers wait for it."""
        readings, writes = owned.parts
        marks = await owned.partition.claim(self._name, Marks(ends.get(readings, 0), ends.get(writes, 0)))
        await owned.partition.flush()
        owned.stored_at = self._ports.clock.monotonic()
        return marks

    async def _again(self, owned: Owned) -> None:
        """Claim anew what is still assigned here, with fresh memory, and read on from its checkpoint."""
        fresh = Owned(owned.number, self._ports.partition(owned.number))
        marks = await self._claim(fresh, await self._ports.event_log.ends(TOPICS))
        try:
            self._group.seek(dict(zip(fresh.parts, (marks.readings, marks.writes), strict=True)))
        except ValueError:  # not ours any more: the next poll revokes it
            return
        self._owned[owned.number] = fresh
        self._group.resume(fresh.parts)

    def _count(self, owned: Owned) -> None:
        counts, before = owned.partition.counts, owned.counted
        self._applied["applied"].inc(counts.applied - before.applied)
        self._applied["duplicate"].inc(counts.duplicate - before.duplicate)
        self._applied["held"].inc(counts.held - before.held)
        owned.counted = Counts(counts.applied, counts.duplicate, counts.held, counts.erased)

    def _count_quality(self, records: Sequence[ReadingRecord]) -> None:
        """Readings of a slice by band, in one pass over all their columns."""
        said = [column.qualities for record in records for row in record.parcels for column in row.parcel.columns]
        if said:
            counted = np.bincount(np.frombuffer(b"".join(said), np.uint8), minlength=256)
            for band, part in zip(self._bands, np.split(counted, (FAIR, GOOD)), strict=True):
                band.inc(int(part.sum()))

    async def _tell_lag(self, group: Group, now: float) -> None:
        """Offsets of the group are for whoever watches its lag: this worker starts at its own."""
        if now - self._committed_at < COMMIT_SECONDS:
            return
        self._committed_at = now
        offsets: dict[Part, int] = {}
        for owned in self._owned.values():
            reached = owned.partition.reached
            offsets.update(dict(zip(owned.parts, (reached.readings, reached.writes), strict=True)))
        ours = {part: offset for part, offset in offsets.items() if part in group.parts}  # others are being claimed
        try:
            await group.commit(ours)
        except StaleCommitError:
            log.get().warning("log.commit_stale", group=GROUP, parts=len(ours))
