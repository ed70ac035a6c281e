"""The event log in Apache Kafka: what every deployment of more than one process runs on. platform.md section 7."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import InvalidReplicationFactorError, KafkaError, TopicAlreadyExistsError, for_code
from didymos_contracts.errors.platform import PLATFORM_TOPIC_MISMATCH, PLATFORM_UNAVAILABLE
from didymos_contracts.topics import DAY_MS, HOUR_MS, Topic, TopicRow

from didymos_kit.clock import Clock, SystemClock
from didymos_kit.eventlog import tail as tails
from didymos_kit.eventlog.kafka_client import HEARTBEAT_MS, Cluster, all_stored, to_part, translated
from didymos_kit.eventlog.kafka_group import KafkaGroup
from didymos_kit.eventlog.kafka_watch import watching
from didymos_kit.eventlog.kafka_writer import FencedWriter, PlainWriter, open_producer
from didymos_kit.eventlog.port import Group, Hooks, Part, Stored, Tail, Writer
from didymos_kit.telemetry.metrics import Metrics

FRAMING_BYTES: Final = 64 << 10  # of a batch around its record
TAIL_RECORDS: Final = 2_000
CREATE_SECONDS: Final = 30.0


def settings_of(row: TopicRow, replicas: int) -> dict[str, str]:
    """The configuration of a topic. Erasure needs `max.compaction.lag.ms` and `segment.ms`: platform.md 7."""
    said = {
        "cleanup.policy": row.cleanup,
        "max.message.bytes": row.max_record_bytes + FRAMING_BYTES,
        "min.insync.replicas": min(2, replicas),
    }
    if row.cleanup == "compact":
        said |= {
            "min.compaction.lag.ms": HOUR_MS,
            "max.compaction.lag.ms": DAY_MS,
            "segment.ms": HOUR_MS,
            "delete.retention.ms": row.retention_ms,
        }
    else:
        said |= {"retention.ms": row.retention_ms, "segment.ms": min(DAY_MS, max(row.retention_ms // 4, 60_000))}
    return {name: str(value) for name, value in said.items()}


class KafkaLog:
    """`async with KafkaLog("kafka://host:port", client="twin-state") as log`.

    `member` is a stable name of this process: its groups keep their parts over a restart. `replicas` is 1 on one node.
    """

    def __init__(
        self,
        url: str,
        *,
        client: str = "didymos",
        member: str | None = None,
        replicas: int = 1,
        session_seconds: float = 30.0,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics
        self._cluster = Cluster(url, client, session_seconds, member)
        self._replicas, self._clock = replicas, clock or SystemClock()
        self._partitions: dict[Topic, int] = {}
        self._members: dict[str, int] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._admin = AIOKafkaAdminClient(**self._cluster.bootstrap())
        self._probe = self._cluster.consumer()  # asks for offsets, reads nothing
        self._open.push_async_callback(self._admin.close)
        self._open.push_async_callback(self._probe.stop)
        try:
            with translated():
                await self._admin.start()
                await self._probe.start()
        except BaseException:
            await self._open.aclose()
            raise
        if self._metrics is not None:
            await self._open.enter_async_context(watching(self._admin, self._metrics))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def ensure(self, topics: Sequence[TopicRow]) -> None:
        rows = {row.name: row for row in topics}
        with translated():
            found = await self._describe(list(rows))
            missing = [row for name, row in rows.items() if name not in found]
            if missing:
                await self._create(missing)
                found = await self._appeared(list(rows))
            cleanups = await self._cleanups(list(rows))
        for name, row in rows.items():
            if (found[name], cleanups[name]) != (row.partitions, row.cleanup):
                raise PLATFORM_TOPIC_MISMATCH.problem(
                    topic=name, partitions=found[name], cleanup=cleanups[name],
                    expected_partitions=row.partitions, expected_cleanup=row.cleanup,
                )  # fmt: skip
        self._partitions |= found

    @asynccontextmanager
    async def writer(self, name: str, fenced: bool = False) -> AsyncIterator[Writer]:  # noqa: FBT001, FBT002 - as the port
        producer = await open_producer(self._cluster, name if fenced else None)
        plain = not fenced
        writer = PlainWriter(self._cluster, producer, self._count) if plain else FencedWriter(producer, self._count)
        try:
            yield writer
        finally:
            await writer.close()

    @asynccontextmanager
    async def group(self, name: str, topics: Sequence[Topic], hooks: Hooks) -> AsyncIterator[Group]:
        for topic in topics:
            await self._count(topic)
        session_ms = int(self._cluster.session_seconds * 1000)
        consumer = self._cluster.consumer(
            group_id=name, group_instance_id=self._instance(name), session_timeout_ms=session_ms,
            rebalance_timeout_ms=session_ms, heartbeat_interval_ms=HEARTBEAT_MS,
            partition_assignment_strategy=(RangePartitionAssignor,),
        )  # fmt: skip
        await _started(consumer)
        member = KafkaGroup(consumer, topics, hooks)
        try:
            yield member
        finally:
            await member.close()

    @asynccontextmanager
    async def tail(self, topic: Topic, into: Callable[[Stored], None]) -> AsyncIterator[Tail]:
        tps = [TopicPartition(topic, number) for number in range(await self._count(topic))]
        consumer = self._cluster.consumer()
        await _started(consumer)
        try:
            with translated():
                consumer.assign(tps)
                for tp, offset in (await consumer.beginning_offsets(tps)).items():
                    consumer.seek(tp, offset)
            source = _TailSource(consumer, tps)
            async with tails.running(tails.TopicTail(topic, source, into, self._clock.monotonic)) as tail:
                yield tail
        finally:
            await consumer.stop()

    async def ends(self, topics: Sequence[Topic]) -> Mapping[Part, int]:
        tps = [TopicPartition(topic, number) for topic in topics for number in range(await self._count(topic))]
        with translated():
            return {to_part(tp): end for tp, end in (await self._probe.end_offsets(tps)).items()}

    async def _count(self, topic: Topic) -> int:
        """Partitions of the topic: the same for ever. Raises `platform.topic_mismatch` if there is no such topic."""
        if topic not in self._partitions:
            with translated():
                self._partitions |= await self._describe([topic])
        if topic not in self._partitions:
            raise PLATFORM_TOPIC_MISMATCH.problem(topic=topic, detail="the topic does not exist; ensure it first")
        return self._partitions[topic]

    def _instance(self, group: str) -> str | None:
        """A static member id (KIP-345) for each member that this process has in the group."""
        if self._cluster.member is None:
            return None
        self._members[group] = self._members.get(group, -1) + 1
        return f"{self._cluster.member}-{self._members[group]}"

    async def _describe(self, names: Sequence[Topic]) -> dict[Topic, int]:
        """Partition counts of those that exist and have a leader everywhere."""
        found = {}
        for said in await self._admin.describe_topics(list(names)):
            leads = all(part["leader"] >= 0 for part in said["partitions"])
            if said["error_code"] == 0 and said["partitions"] and leads:
                found[Topic(said["topic"])] = len(said["partitions"])
        return found

    async def _create(self, rows: Sequence[TopicRow]) -> None:
        new = [
            NewTopic(row.name, row.partitions, self._replicas, topic_configs=settings_of(row, self._replicas))
            for row in rows
        ]
        for topic, code, *_ in (await self._admin.create_topics(new)).topic_errors:
            error = for_code(code)
            if error is InvalidReplicationFactorError:  # brokers that are not there yet
                raise PLATFORM_UNAVAILABLE.problem(detail=f"Kafka has fewer than {self._replicas} brokers")
            if code and error is not TopicAlreadyExistsError:
                raise error(topic)

    async def _appeared(self, names: Sequence[Topic]) -> dict[Topic, int]:
        """Counts of all, as soon as the brokers know them."""
        async with asyncio.timeout(CREATE_SECONDS):
            while len(found := await self._describe(names)) < len(names):  # noqa: ASYNC110 - state of the brokers
                await asyncio.sleep(0.05)
        return found

    async def _cleanups(self, names: Sequence[Topic]) -> dict[Topic, str]:
        wanted = [ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": ""}) for name in names]
        found = {}
        for response in await self._admin.describe_configs(wanted):
            for code, message, _kind, name, entries in response.resources:
                if code:
                    raise KafkaError(f"{name}: {message}")
                found[Topic(name)] = _value(entries, "cleanup.policy")
        return found


def _value(entries: Sequence[Sequence[Any]], name: str) -> str:
    return next(str(entry[1]) for entry in entries if entry[0] == name)


async def _started(consumer: AIOKafkaConsumer) -> None:
    try:
        with translated():
            await consumer.start()
    except BaseException:
        await consumer.stop()
        raise


class _TailSource:
    """`tail.TailSource` over a consumer without a group."""

    def __init__(self, consumer: AIOKafkaConsumer, tps: Sequence[TopicPartition]) -> None:
        self._consumer, self._tps = consumer, tps

    async def ends(self) -> Mapping[int, int]:
        with translated():
            return {tp.partition: end for tp, end in (await self._consumer.end_offsets(self._tps)).items()}

    async def read(self, timeout_seconds: float) -> Sequence[Stored]:
        with translated():
            found = await self._consumer.getmany(timeout_ms=int(timeout_seconds * 1000), max_records=TAIL_RECORDS)
        return [record for records in all_stored(found).values() for record in records]

    async def positions(self) -> Mapping[int, int]:
        return {tp.partition: await self._consumer.position(tp) for tp in self._tps}
