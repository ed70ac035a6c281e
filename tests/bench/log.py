"""The event log: SQLite against bare `executemany`, Kafka against bare aiokafka. platform.md section 14."""

import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from didymos_contracts.topics import DAY_MS, Topic, TopicRow
from didymos_kit.eventlog import Earliest, Part, Record, Start, Writer
from didymos_kit.eventlog.kafka import KafkaLog
from didymos_kit.eventlog.partition import partition_of
from didymos_kit.eventlog.sqlite import SqliteLog
from didymos_kit.eventlog.sqlite_file import CHECKPOINT_PAGES, OFFSET_BITS

from tests.bench.measure import Measure, measure

BYTES: Final = 5_900
BATCH: Final = 100
APPENDS: Final = 20  # of one timed run
ROUNDS: Final = 7
KAFKA_RECORDS: Final = 5_000
BUILD: Final = Path(__file__).resolve().parents[2] / "build"  # a disk: the folder for temporary files may be memory
PARTITIONS: Final = 64


def a_topic() -> TopicRow:
    name = Topic(f"didymos.bench.{uuid4().hex[:12]}.v1")
    return TopicRow(name, "bench", "twin", PARTITIONS, "delete", DAY_MS, 1 << 20, (), personal=False)


def records(topic: Topic, count: int) -> list[Record]:
    headers = {"ce_id": b"0" * 48, "ce_type": b"didymos.ingestion.v1.ReadingsAccepted", "ce_specversion": b"1.0"}
    at_ms = time.time_ns() // 1_000_000
    value = os.urandom(BYTES)
    return [Record(topic, b"did:key:z6Mk%040d" % (n % 997), value, headers, at_ms) for n in range(count)]


async def in_turn(
    ours: Callable[[], Awaitable[None]], other: Callable[[], Awaitable[None]], rounds: int
) -> tuple[float, float]:
    """Median seconds of both, called in turn after one warm-up each."""
    taken: tuple[list[float], list[float]] = ([], [])
    for round_number in range(rounds + 1):
        for work, into in zip((ours, other), taken, strict=True):
            begun = time.perf_counter()
            await work()
            if round_number:
                into.append(time.perf_counter() - begun)
    return statistics.median(taken[0]), statistics.median(taken[1])


class Bare:
    """`executemany` alone, one transaction a batch, fully synced, with the pragmas and the table of the log.

    `spread`: row ids as the log gives them, part by part, so as many pages are touched; else one behind the other.
    """

    def __init__(self, path: Path, batch: list[Record], *, spread: bool) -> None:
        self._file = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = wal", "synchronous = full", f"wal_autocheckpoint = {CHECKPOINT_PAGES}"):
            self._file.execute(f"pragma {pragma}")
        self._file.execute(
            "create table record(id integer primary key, at_ms integer, key blob, value blob, headers blob) strict"
        )
        self._batch, self._spread = batch, spread
        self._parts = [partition_of(record.key, PARTITIONS) for record in batch]
        self._next: Counter[int] = Counter()

    async def append(self) -> None:
        for _ in range(APPENDS):
            rows = [
                (self._id(part), r.at_ms, r.key, r.value, b"h" * 120)
                for part, r in zip(self._parts, self._batch, strict=True)
            ]
            self._file.execute("begin immediate")
            self._file.executemany("insert into record values (?, ?, ?, ?, ?)", rows)
            self._file.execute("commit")

    def close(self) -> None:
        self._file.close()

    def _id(self, part: int) -> int:
        place = part if self._spread else 0
        self._next[place] += 1
        return place << OFFSET_BITS | self._next[place]


async def sqlite_lines() -> list[Measure]:
    topic = a_topic()
    batch, count = records(topic.name, BATCH), APPENDS * BATCH
    lines = []
    for spread, goal in ((True, 0.8), (False, None)):
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            bare = Bare(Path(folder) / "bare.db", batch, spread=spread)
            async with SqliteLog(Path(folder) / "log.db") as log, log.writer("bench") as writer:
                await log.ensure([topic])

                async def append(writer: Writer = writer) -> None:
                    for _ in range(APPENDS):
                        await writer.append(batch)

                ours, other = await in_turn(append, bare.append, ROUNDS)
                read = await _read_all(log, topic, ROUNDS * count)
            bare.close()
        against = f"executemany{'' if spread else ', one part'} {count / other:,.0f}"
        name = "SQLite append, 100 x 5.9 kB, FULL"
        lines.append(measure(name, count / ours, "records/s", against=against, ratio=other / ours, goal=goal))
    return [*lines, measure("SQLite read by a group", read, "records/s")]


async def _read_all(log: SqliteLog, topic: TopicRow, count: int) -> float:
    async with log.group(f"bench.{uuid4().hex[:8]}", [topic.name], FromStart()) as group:
        await group.poll(1)
        begun = time.perf_counter()
        found = 1
        while found < count:
            found += sum(map(len, (await group.poll()).values()))
        return found / (time.perf_counter() - begun)


class FromStart:
    """Hooks that read everything."""

    async def assigned(self, parts: frozenset[Part]) -> Mapping[Part, Start]:
        return dict.fromkeys(parts, Earliest())

    async def revoked(self, parts: frozenset[Part]) -> None:
        """Nothing to keep."""


async def kafka_lines(url: str) -> list[Measure]:
    """Append, then consume through a group of one member; bare: the same clients with the same settings."""
    topic, other_topic = a_topic(), a_topic()
    async with KafkaLog(url, client="bench") as log:
        await log.ensure([topic, other_topic])
        batch = records(topic.name, KAFKA_RECORDS)
        group_name = f"bench.{uuid4().hex[:8]}"
        async with (
            log.writer("bench") as writer,
            log.group(group_name, [topic.name], FromStart()) as group,
            bare_clients(url, other_topic) as (producer, consumer),
        ):

            async def ours() -> None:
                await writer.append(batch)
                found = 0
                while found < KAFKA_RECORDS:
                    found += sum(map(len, (await group.poll()).values()))

            async def other() -> None:
                sent = [
                    await producer.send(
                        other_topic.name, record.value, record.key, timestamp_ms=record.at_ms,
                        headers=list(record.headers.items()),
                    )
                    for record in batch
                ]  # fmt: skip
                await asyncio.gather(*sent)
                found = 0
                while found < KAFKA_RECORDS:
                    found += sum(map(len, (await consumer.getmany(timeout_ms=200, max_records=500)).values()))

            taken, bare = await in_turn(ours, other, ROUNDS)
    rate = KAFKA_RECORDS / taken
    return [
        measure(
            "Kafka append + consume, 5.9 kB", rate, "records/s", against=f"bare aiokafka {KAFKA_RECORDS / bare:,.0f}",
            ratio=bare / taken, goal=0.95,
        )
    ]  # fmt: skip


@asynccontextmanager
async def bare_clients(url: str, topic: TopicRow) -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaConsumer]]:
    """An idempotent producer and a consumer of all parts, as aiokafka's own documentation uses them."""
    servers = url.removeprefix("kafka://")
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, enable_idempotence=True, linger_ms=5, max_batch_size=512 << 10,
        max_request_size=4 << 20,
    )  # fmt: skip
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers, enable_auto_commit=False, isolation_level="read_committed", fetch_max_wait_ms=100,
        auto_offset_reset="earliest",
    )  # fmt: skip
    await producer.start()
    await consumer.start()
    consumer.assign([TopicPartition(topic.name, number) for number in range(topic.partitions)])
    try:
        yield producer, consumer
    finally:
        await consumer.stop()
        await producer.stop()


def run() -> list[Measure]:
    """Kafka only where `DIDYMOS_KAFKA_URL` says there is one."""
    lines = asyncio.run(sqlite_lines())
    url = os.environ.get("DIDYMOS_KAFKA_URL")
    return lines + (asyncio.run(kafka_lines(url)) if url else [])
