"""The consume loop: slices of each part in order, errors that hold or bury, commits, rebalances, drain."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from didymos_contracts.errors import Problem
from didymos_contracts.metrics import LOG_DEAD_LETTERS_TOTAL, LOG_HELD_PARTITIONS, LOG_SLICE_SECONDS
from didymos_contracts.topics import Topic

from didymos_kit import log
from didymos_kit.clock import Clock
from didymos_kit.eventlog.dead import dead_letter, permanent_code
from didymos_kit.eventlog.lane import Handle, Lane, Rules, full_jitter
from didymos_kit.eventlog.metered import NAMES, group_label
from didymos_kit.eventlog.port import EventLog, Group, Hooks, Part, StaleCommitError, Start, Stored, Writer
from didymos_kit.service import Stopping
from didymos_kit.telemetry import tracing
from didymos_kit.telemetry.metrics import Metrics

IN_HAND: Final = 4  # slices of a part that may wait; more pause it
COMMIT_RECORDS: Final = 1_000
COMMIT_SECONDS: Final = 1.0
POLL_FAILURES: Final = 12  # one after the other: then this member may be past saving, and another one begins


def _unwatched(*_: object) -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """What consumes.

    `handle` gets records of one part, in order, and either does all of them or raises and has done none. An error whose
    `permanent` code is not None buries the record that causes it; every other error holds its part and is tried again,
    without end. `hooks` are for consumers that keep their own offsets: their `revoked` runs after the last slice and
    before the last commit. `on_held` is told how many parts are held, `on_dead` the topic and code of a dead letter;
    `metrics` count both, and how long slices take.
    """

    group: str
    topics: Sequence[Topic]
    handle: Handle
    hooks: Hooks | None = None
    permanent: Callable[[Exception], str | None] = permanent_code
    backoff: Callable[[int], float] = full_jitter
    commit_seconds: float = COMMIT_SECONDS
    on_held: Callable[[int], None] = _unwatched
    on_dead: Callable[[Topic, str], None] = _unwatched
    metrics: Metrics = field(default_factory=Metrics)


async def consume(event_log: EventLog, consumer: Consumer, clock: Clock, stopping: Stopping) -> None:
    """Run until `stopping`, then finish the slices in hand, commit and leave. The topic of dead letters must exist.

    Raises what the hooks raise, `platform.offset_lost`, and `platform.unavailable` when nothing comes of many polls.
    """
    async with (
        asyncio.TaskGroup() as lanes,
        event_log.writer(f"{consumer.group}.dead") as dead_letters,
    ):
        run = _Run(consumer, clock, dead_letters, lanes)
        async with event_log.group(consumer.group, consumer.topics, run) as group:
            await run.until(group, stopping)


class _Run:
    """The hooks of the group, and the state of one `consume`."""

    def __init__(self, consumer: Consumer, clock: Clock, dead_letters: Writer, tasks: asyncio.TaskGroup) -> None:
        self._consumer, self._clock, self._dead_letters, self._tasks = consumer, clock, dead_letters, tasks
        self._rules = Rules(self._handle, consumer.permanent, self._bury, consumer.backoff, self._balance)
        self._lanes: dict[Part, Lane] = {}
        self._committed: dict[Part, int] = {}
        self._committed_at, self._done_then = clock.monotonic(), 0
        self._held = 0
        group = group_label(consumer.group)
        self._seconds = consumer.metrics.histogram(LOG_SLICE_SECONDS, group=group)
        self._gauge = consumer.metrics.gauge(LOG_HELD_PARTITIONS, group=group)
        self._dead = {
            topic: consumer.metrics.counter(LOG_DEAD_LETTERS_TOTAL, topic=topic)
            for topic in consumer.topics
            if topic in NAMES
        }

    async def until(self, group: Group, stopping: Stopping) -> None:
        self._group = group
        failures = 0
        while not stopping:
            try:
                polled = await group.poll()
                failures = 0
            except Problem as problem:
                if problem.row.retry != "later":
                    raise
                failures += 1
                if failures >= POLL_FAILURES:
                    raise
                log.get().warning(
                    "log.poll_failed", group=self._consumer.group, code=problem.row.code, said=str(problem)[:200]
                )
                await stopping.within(self._consumer.backoff(failures))
                continue
            for part, records in polled.items():
                self._lanes[part].put(records)
                self._balance(self._lanes[part])
            if self._commit_is_due():
                await self._commit(self._lanes.values())

    async def assigned(self, parts: frozenset[Part]) -> Mapping[Part, Start]:
        hooks = self._consumer.hooks
        starts = {} if hooks is None else await hooks.assigned(parts)
        self._lanes = {part: Lane(part, self._rules) for part in parts}
        self._committed.clear()
        for lane in self._lanes.values():
            self._tasks.create_task(lane.run())
        return starts

    async def revoked(self, parts: frozenset[Part]) -> None:
        lanes = [self._lanes[part] for part in parts if part in self._lanes]
        await asyncio.gather(*(lane.stop() for lane in lanes))
        if self._consumer.hooks is not None:
            await self._consumer.hooks.revoked(parts)
        await self._commit(lanes)
        self._lanes = {}
        self._count_held()

    async def _handle(self, records: Sequence[Stored]) -> None:
        begun = perf_counter()
        with _process_span(records):
            await self._consumer.handle(records)
        self._seconds.observe(perf_counter() - begun)

    async def _bury(self, record: Stored, code: str) -> None:
        letter = dead_letter(record, self._consumer.group, code, self._clock.now_us() // 1000)
        await self._dead_letters.append([letter])
        log.get().warning(
            "log.record_buried", topic=record.topic, partition=record.partition, offset=record.offset, code=code
        )
        if record.topic in self._dead:
            self._dead[record.topic].inc()
        self._consumer.on_dead(record.topic, code)

    def _balance(self, lane: Lane) -> None:
        """Pause a part that is held or has too much in hand; resume it when half of that is done."""
        if lane.held or len(lane) > IN_HAND:
            self._group.pause([lane.part])
        elif len(lane) <= IN_HAND // 2:
            self._group.resume([lane.part])
        self._count_held()

    def _count_held(self) -> None:
        held = sum(lane.held for lane in self._lanes.values())
        if held != self._held:
            self._held = held
            self._gauge.set(held)
            self._consumer.on_held(held)

    def _commit_is_due(self) -> bool:
        waited = self._clock.monotonic() - self._committed_at >= self._consumer.commit_seconds
        done = sum(lane.done for lane in self._lanes.values())
        return waited or done - self._done_then >= COMMIT_RECORDS

    async def _commit(self, lanes: Iterable[Lane]) -> None:
        """A commit that fails is only late: what it covers is handled again by whoever comes next."""
        self._committed_at = self._clock.monotonic()
        self._done_then = sum(lane.done for lane in self._lanes.values())
        offsets = {
            lane.part: lane.following
            for lane in lanes
            if lane.following is not None and lane.following != self._committed.get(lane.part)
        }
        if not offsets:
            return
        try:
            await self._group.commit(offsets)
        except StaleCommitError:
            log.get().warning("log.commit_stale", group=self._consumer.group, parts=len(offsets))
        except Problem as problem:
            log.get().warning("log.commit_failed", group=self._consumer.group, code=problem.row.code)
        else:
            self._committed.update(offsets)


@contextlib.contextmanager
def _process_span(records: Sequence[Stored]) -> Iterator[None]:
    """A span for a slice that holds sampled records, linked to their producers; nothing for all others."""
    sampled = [found for record in records if (found := tracing.extract(record.headers)) is not None]
    if not sampled:
        yield
        return
    with tracing.span(f"process {records[0].topic}", kind=tracing.CONSUMER, links=sampled):
        yield
