"""The data path on real Kafka, Redis and PostgreSQL, where `DIDYMOS_<NAME>_URL` says they run: CPU of each process.

Ingest: signed batches to the acknowledgement of Kafka, 64 on their way. Apply: sealed batches to blobs in Redis and a
checkpoint in PostgreSQL. Rates are by the CPU of the service's own process, which is what one core of it does; beside
them the wall, and what the servers spend for it. data-path.md 2 and 17.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Final

from didymos_contracts.errors import Problem
from didymos_contracts.topics import QUARANTINE, READINGS
from didymos_ingestion.application.accept_together import Together
from didymos_kit.clock import SystemClock
from didymos_kit.database.engine import Database, postgres_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.eventlog import Position, Record, Writer
from didymos_kit.eventlog.kafka import KafkaLog
from didymos_kit.eventlog.records import partition_for
from didymos_kit.hot.redis import RedisHot
from didymos_kit.ids import OrderedIds
from didymos_readings import parse_batch
from didymos_twin_state.adapters.seals import VaultSeals
from sqlalchemy import text

from tests.bench import apply
from tests.bench.data_path import BATCHES, IN_FLIGHT, SHAPES, all_of, bare, bodies, naive, naive_bodies, ports_for
from tests.bench.measure import Measure, measure
from tests.bench.server_cpu import cpu_seconds, started
from tests.load.shapes import Shape
from tools.servers import STARTERS, variable

ROUNDS: Final = 5
LED_TRIES: Final = 20
MISSING: Final = "data-path: no real servers (make servers; eval of `tools/servers.py env`), these lines are left out"


@dataclass(slots=True)
class Spent:
    """Seconds of each round: wall, CPU here, CPU of each server."""

    wall: list[float] = field(default_factory=list)
    here: list[float] = field(default_factory=list)
    there: list[dict[str, float]] = field(default_factory=list)

    def servers(self, readings: int) -> str:
        """Microseconds a reading of each, over all rounds: their clock has ticks of 10 ms."""
        names = self.there[0] if self.there else {}
        each = {name: sum(said[name] for said in self.there) * 1e6 / (readings * len(self.there)) for name in names}
        return ", ".join(f"{name} {us:.2f}" for name, us in each.items() if us) + " us/reading"


async def in_turn(*works: Callable[[], Awaitable[None]]) -> list[Spent]:
    """Each in turn, ROUNDS times after a warm-up: a drift of the machine meets all."""
    servers, spent = started(), [Spent() for _ in works]
    for number in range(ROUNDS + 1):
        for work, into in zip(works, spent, strict=True):
            before, wall, cpu = cpu_seconds(servers), time.perf_counter(), time.process_time()
            await work()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            after = cpu_seconds(servers)
            if number:
                into.here.append(cpu)
                into.wall.append(wall)
                into.there.append({name: after[name] - before[name] for name in after})
    return spent


class _Latencies:
    """Milliseconds from the bytes of a batch to its acknowledgement."""

    def __init__(self) -> None:
        self.ms: list[float] = []

    async def of(self, work: Awaitable[object]) -> None:
        begun = time.perf_counter()
        await work
        self.ms.append((time.perf_counter() - begun) * 1000)

    def said(self) -> str:
        ordered = sorted(self.ms)
        p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
        return f"p50 {p50:.0f}, p99 {p99:.0f} ms, {IN_FLIGHT} at once"


class _Kept:
    """Keeps the records in place of appending them."""

    def __init__(self) -> None:
        self.records: list[list[Record]] = []

    async def append(self, records: Sequence[Record]) -> list[Position]:
        self.records.append(list(records))
        return [Position(record.topic, partition_for(record, READINGS.partitions), 0) for record in records]


async def ingest_lines(shape: Shape, writer: Writer) -> list[Measure]:
    count = 8 * BATCHES if shape.twins == 1 else BATCHES  # some 0.4 s a run: a collection of garbage takes 20 ms
    given, singles = bodies(shape, count), naive_bodies(shape, max(1, 1_000 // shape.size))[:1_000]
    clock, took, kept, dropped = SystemClock(), _Latencies(), _Kept(), _Kept()
    together, to_records, to_memory = [
        Together(await ports_for(shape, into), clock) for into in (writer, kept, dropped)
    ]
    await all_of(lambda body: to_records.accept(parse_batch(body)), given)

    async def produced() -> None:
        await asyncio.gather(*(writer.append(records) for records in kept.records))

    def nowhere(body: bytes) -> Awaitable[object]:
        dropped.records.clear()
        return to_memory.accept(parse_batch(body))

    ours, least, one, only, memory = await in_turn(
        lambda: all_of(lambda body: took.of(together.accept(parse_batch(body))), given),
        lambda: all_of(lambda body: bare(body, writer), given),
        lambda: all_of(lambda body: naive(body, writer), singles),
        produced,
        lambda: all_of(nowhere, given),
    )
    readings, name = count * shape.size, f"Kafka ingest {shape.name}"
    rate, singly = readings / median(ours.here), len(singles) / median(one.here)
    whole = median(ours.here) * 1e6 / count
    stages = {"to sealed records": memory, "produce to the ack, alone": only, "bare: verify, parse, produce": least}
    return [
        measure(f"{name}, CPU", rate, "readings/s", against=f"a record a reading {singly:,.0f}", ratio=rate / singly,
                goal=40.0 if shape.name == "D" else None),
        measure(f"{name}, CPU, of the goal", rate, "readings/s", against="300,000 a core", ratio=rate / 300_000,
                goal=1.0 if shape.name == "D" else None),
        measure(f"{name}, wall", readings / median(ours.wall), "readings/s", against=took.said()),
        measure(f"{name}, servers", rate, "readings/s", against=ours.servers(readings)),
        *(measure(f"{name}, stage: {stage}", cost := median(each.here) * 1e6 / count, "us/batch",
                  against=f"of {whole:,.0f}", ratio=cost / whole) for stage, each in stages.items()),
    ]  # fmt: skip


@asynccontextmanager
async def a_bench(redis: str, postgres: str) -> AsyncIterator[apply.Bench]:
    """As `apply.a_bench`, in a schema and partitions of its own, which go afterwards."""
    schema, clock = f"bench_{time.time_ns()}", SystemClock()
    await upgrade(postgres_engine(postgres, schema, pooled=False), migrations_of("twin-state"), schema)
    admin = postgres_engine(postgres, "public", pooled=False)
    stamp = Stamp("didymos://bench/twin-state", clock, OrderedIds(clock))
    try:
        async with (
            RedisHot.at(redis) as hot,
            Database(postgres_engine(postgres, schema), "twin-state", stamp) as database,
        ):
            async with database.unit_of_work() as tx:
                await tx.connection.execute(text("create table naive(run int, name text, at bigint, value float8)"))
            first = time.time_ns() % 1_000_000_000  # a partition nobody else has
            yield apply.Bench(hot, database, VaultSeals(apply._keys, clock, lambda _: False), made=first)
    finally:
        async with admin.begin() as connection:
            await connection.execute(text(f'drop schema if exists "{schema}" cascade'))
        await admin.dispose()


async def apply_lines(redis: str, postgres: str) -> list[Measure]:
    rows, found = apply.naive_rows(1_000), []
    async with a_bench(redis, postgres) as bench:
        for shape in SHAPES:
            records = apply.packed(apply.batches(apply.BATCHES[shape.name], shape))
            hot, stored, fields, kept = await in_turn(
                partial(bench.ours, records, stored=False),
                partial(bench.ours, records, stored=True),
                lambda: bench.naive(rows, stored=False),
                lambda: bench.naive(rows, stored=True),
            )
            size = apply.BATCHES[shape.name] * shape.size
            found += _applied(f"Redis apply {shape.name}", hot, fields, size, len(rows), "a field a reading", None)
            found += _applied(
                f"Redis + PostgreSQL apply {shape.name}, checkpointed", stored, kept, size, len(rows),
                "a field and a row a reading", 12.0 if shape.name == "D" else None,
            )  # fmt: skip
    return found


def _applied(
    name: str, ours: Spent, other: Spent, size: int, rows: int, naive: str, goal: float | None
) -> list[Measure]:
    rate, against = size / median(ours.here), rows / median(other.here)
    return [
        measure(f"{name}, CPU", rate, "readings/s", against=f"{naive} {against:,.0f}", ratio=rate / against, goal=goal),
        measure(f"{name}, CPU, of the goal", rate, "readings/s", against="350,000 a core", ratio=rate / 350_000,
                goal=None if goal is None else 1.0),
        measure(f"{name}, wall", size / median(ours.wall), "readings/s", against=ours.servers(size)),
    ]  # fmt: skip


async def led(writer: Writer) -> None:
    """Brokers give new topics their leaders one by one, and a producer hears of them by its errors: not to be timed."""
    records = [Record(READINGS.name, b"%d" % number, b"-", {}, 0) for number in range(8 * READINGS.partitions)]
    for _ in range(LED_TRIES):
        try:
            await writer.append(records)
        except Problem as problem:
            if problem.row.retry != "later":
                raise
            await asyncio.sleep(0.5)
        else:
            return
    raise TimeoutError("no leaders")


async def lines(urls: dict[str, str]) -> list[Measure]:
    found = []
    async with KafkaLog(urls["kafka"], client="bench") as log:
        await log.ensure([READINGS, QUARANTINE])
        async with log.writer("bench") as writer:
            await led(writer)
            for shape in SHAPES:
                found += await ingest_lines(shape, writer)
    return found + await apply_lines(urls["redis"], urls["postgres"])


def run() -> list[Measure]:
    urls = {name: os.environ[variable(name)] for name in STARTERS if os.environ.get(variable(name))}
    if len(urls) < len(STARTERS):
        print(MISSING)
        return []
    return asyncio.run(lines(urls))
