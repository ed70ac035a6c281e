"""A member of a Kafka consumer group: classic eager protocol, range assignment, explicit positions. platform.md 7."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError, NoOffsetForPartitionError
from didymos_contracts.errors import Problem
from didymos_contracts.topics import Topic

from didymos_kit.eventlog.kafka_client import all_stored, to_kafka, to_part, translated
from didymos_kit.eventlog.port import (
    POLL_RECORDS,
    POLL_SECONDS,
    Earliest,
    Hooks,
    Part,
    StaleCommitError,
    Start,
    Stored,
)

COMMIT_SECONDS: Final = 10.0  # aiokafka tries for ever


class KafkaGroup(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """The `Group` of the port. aiokafka awaits the hooks in a task of its own; `poll` waits for them."""

    def __init__(self, consumer: AIOKafkaConsumer, topics: Sequence[Topic], hooks: Hooks) -> None:
        self._consumer, self._topics, self._hooks = consumer, topics, hooks
        self._parts: frozenset[Part] = frozenset()
        self._generation = -1
        self._joined = False
        self._closing = asyncio.Event()
        self._settled = asyncio.Event()  # parts are assigned and begun, or `_failure` says why not
        self._failure: Exception | None = None
        self._told: Exception | None = None  # the failure that `poll` has raised
        self._fetching: asyncio.Task[Mapping[TopicPartition, Sequence[object]]] | None = None
        self._revoking = asyncio.Lock()
        self._committed: dict[Part, int] = {}
        self._delivered: dict[Part, int] = {}

    @property
    def parts(self) -> frozenset[Part]:
        return self._parts

    @property
    def generation(self) -> int:
        return self._generation

    async def poll(
        self, max_records: int = POLL_RECORDS, timeout_seconds: float = POLL_SECONDS
    ) -> Mapping[Part, Sequence[Stored]]:
        if not self._joined:
            self._joined = True
            self._consumer.subscribe(self._topics, listener=self)
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while True:
            left = deadline - asyncio.get_running_loop().time()
            if not await self._is_settled(left):
                return {}
            found = await self._fetch(max_records, max(left, 0.0))
            if found or left <= 0:
                return found

    def seek(self, offsets: Mapping[Part, int]) -> None:
        for part in offsets:
            if part not in self._parts:
                raise ValueError(f"{part} is not of this member")
        for part, offset in offsets.items():
            self._consumer.seek(to_kafka(part), offset)

    def pause(self, parts: Iterable[Part]) -> None:
        self._consumer.pause(*self._assigned(parts))

    def resume(self, parts: Iterable[Part]) -> None:
        self._consumer.resume(*self._assigned(parts))

    async def commit(self, offsets: Mapping[Part, int]) -> None:
        if not offsets:
            return
        if not self._parts.issuperset(offsets) or self._consumer._coordinator.generation != self._generation:
            raise StaleCommitError("a part belongs to another member")  # without a generation the broker would take it
        try:
            with translated():
                async with asyncio.timeout(COMMIT_SECONDS):
                    await self._consumer.commit({to_kafka(part): offset for part, offset in offsets.items()})
        except (CommitFailedError, IllegalStateError, ConsumerStoppedError) as error:
            raise StaleCommitError(str(error)) from error
        self._committed.update(offsets)

    async def lag(self) -> Mapping[Part, int]:
        parts = self._parts
        with translated():
            ends = await self._consumer.end_offsets([to_kafka(part) for part in parts])
            await self._ask_committed(parts)
            return {part: max(0, ends[to_kafka(part)] - await self._done(part)) for part in parts}

    async def close(self) -> None:
        """aiokafka's `stop` revokes nothing: we do."""
        self._closing.set()
        try:
            await self._give_up()
        finally:
            await self._consumer.stop()
        if self._failure is not None and self._failure is not self._told:
            raise self._failure

    async def on_partitions_revoked(self, _revoked: Iterable[TopicPartition]) -> None:
        self._settled.clear()
        if self._fetching is not None:
            self._fetching.cancel()
        await self._give_up()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        if self._closing.is_set():
            return
        parts = frozenset(map(to_part, assigned))
        self._generation = self._consumer._coordinator.generation
        self._committed, self._delivered, self._failure = {}, {}, None
        try:
            starts = await self._hooks.assigned(parts)
            with translated():
                await self._begin(parts, starts)
            self._parts = parts
        except Exception as error:  # aiokafka would log it and go on; `poll` raises it
            self._failure = error
        self._settled.set()
        if self._closing.is_set():
            await self._give_up()

    async def _begin(self, parts: frozenset[Part], starts: Mapping[Part, Start]) -> None:
        """Every position is set here: what aiokafka fetched by itself before is dropped by its own check."""
        offsets = {part: start for part, start in starts.items() if isinstance(start, int) and part in parts}
        earliest = {part for part, start in starts.items() if isinstance(start, Earliest)}
        await self._ask_committed(parts - offsets.keys() - earliest)
        offsets |= {part: self._committed[part] for part in parts - offsets.keys() - earliest}
        if earliest:
            offsets |= await self._beginnings(earliest)
        for part, offset in offsets.items():
            self._consumer.seek(to_kafka(part), offset)

    async def _ask_committed(self, parts: Iterable[Part]) -> None:
        """Fill `_committed`; where nothing was ever committed, with the first offset there is."""
        unknown = [part for part in parts if part not in self._committed]
        found = await asyncio.gather(*(self._consumer.committed(to_kafka(part)) for part in unknown))
        self._committed |= {part: offset for part, offset in zip(unknown, found, strict=True) if offset is not None}
        self._committed |= await self._beginnings([part for part in unknown if part not in self._committed])

    async def _beginnings(self, parts: Iterable[Part]) -> dict[Part, int]:
        tps = [to_kafka(part) for part in parts]
        found = await self._consumer.beginning_offsets(tps) if tps else {}
        return {to_part(tp): offset for tp, offset in found.items()}

    async def _done(self, part: Part) -> int:
        """Committed; where that is all we delivered, our position: behind it lie only markers of transactions."""
        committed = self._committed[part]
        if committed < self._delivered.get(part, committed + 1):
            return committed
        position: int = await self._consumer.position(to_kafka(part))
        return max(committed, position)

    async def _give_up(self) -> None:
        async with self._revoking:
            if self._parts:
                try:
                    await self._hooks.revoked(self._parts)
                except Exception as error:  # as above
                    self._failure = error
            self._parts = frozenset()

    async def _is_settled(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._settled.wait()
        except TimeoutError:
            # aiokafka lets members that did not fetch for five minutes not rejoin; nothing may be raised in this block
            with self._consumer._subscription.fetch_context():
                pass
            with translated():
                self._consumer._coordinator.check_errors()
            return False
        if self._failure is not None:
            failure = self._told = self._failure
            if isinstance(failure, Problem) and failure.row.retry == "later":
                self._join_anew()
            raise failure
        return True

    def _join_anew(self) -> None:
        """What kept the parts from being begun passes: have them assigned once more."""
        self._failure = None
        self._settled.clear()
        self._consumer._coordinator.request_rejoin()

    async def _fetch(self, max_records: int, seconds: float) -> Mapping[Part, Sequence[Stored]]:
        """Records that are ours; none when a rebalance begins meanwhile: their parts begin anew."""
        fetch = self._consumer.getmany(timeout_ms=int(seconds * 1000), max_records=max_records)
        self._fetching = asyncio.create_task(fetch)
        try:
            with translated():
                found = await self._fetching
        except NoOffsetForPartitionError:  # noticed before `_begin` set the position
            return {}
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return {}
        finally:
            self._fetching = None
        if not self._settled.is_set():
            return {}
        taken = all_stored(found)
        self._delivered |= {part: records[-1].offset + 1 for part, records in taken.items()}
        return taken

    def _assigned(self, parts: Iterable[Part]) -> list[TopicPartition]:
        return [to_kafka(part) for part in parts if part in self._parts]
