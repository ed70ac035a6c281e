"""Apply: sealed batches to state, history and announcements, against a field write and a row per reading.

Ours opens each parcel, merges it, commits blobs and offsets in one Lua step, stores parcels and snapshots in one
transaction. Its records are as ingestion writes them with 64 batches on their way (shapes D, G, S of one partition),
beside them records of one batch each. Naive: one HSET per reading, with and without one row per reading. data-path.md 2
and 17.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsAccepted
from didymos_did import DataKey, TwinId
from didymos_ingestion.adapters.readings_log import PACK_BYTES
from didymos_kit.clock import SystemClock
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.eventlog import Position, Record
from didymos_kit.hot import Hot, Script
from didymos_kit.hot.fake import fake_hot
from didymos_kit.ids import OrderedIds
from didymos_readings import Column, DeviceStream
from didymos_testing.did import a_signer
from didymos_testing.twin_world import sealed_parcels
from didymos_twin_state.adapters.announcer import LogAnnouncements
from didymos_twin_state.adapters.history import SqlHistory
from didymos_twin_state.adapters.hot import HotStore
from didymos_twin_state.adapters.readings import names_of, open_record
from didymos_twin_state.adapters.seals import Name, VaultSeals
from didymos_twin_state.application.apply_batch import Partition
from sqlalchemy import text

from tests.bench.measure import Measure, measure
from tests.load.shapes import SHAPES, Shape

BUILD: Final = Path(__file__).resolve().parents[2] / "build"  # a disk: the folder for temporary files may be memory
BATCHES: Final = {"D": 640, "G": 32, "S": 32}  # of one timed run, with one checkpoint at its end
TOGETHER: Final = 64  # batches whose parcels share records of at most PACK_BYTES
FLUSH: Final = 2  # packed records of a flush
ALONE: Final = 20  # records of one batch each of a flush
BLOCKS: Final = 5  # of shape D
READINGS: Final = 20  # a block
ROUNDS: Final = 5
DEVICE, TWIN, OPERATOR = (a_signer(f"bench {name}") for name in ("device", "apply twin", "operator"))
FIELD: Final = Script("redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])")


def batches(count: int, shape: Shape = SHAPES["D"]) -> list[ReadingsAccepted]:
    """Records of the log, each of one batch: every twin has `shape.readings` new readings in each of its blocks."""
    now_us, draw = time.time_ns() // 1000, np.random.default_rng(7)
    twins = [TWIN.did] if shape.twins == 1 else [a_signer(f"bench twin {number}").did for number in range(shape.twins)]
    stream = DeviceStream(DEVICE, OPERATOR.did, "generic@1")
    found = []
    for number in range(count):
        times = (
            now_us - np.arange((count - number) * shape.readings, (count - number - 1) * shape.readings, -1) * 100_000
        )
        columns = [
            Column(
                twins[block % len(twins)], f"pump/flow{block // len(twins)}", "L/min", times.astype(np.int64),
                draw.normal(100, 5, shape.readings),
            )
            for block in range(shape.blocks)
        ]  # fmt: skip
        sent = stream.batch(columns, now_us)
        found.append(sealed_parcels(sent, DEVICE, OPERATOR.did, now_us, "generic@1"))
    return found


def packed(records: Sequence[ReadingsAccepted]) -> list[ReadingsAccepted]:
    """The same parcels as ingestion packs them when TOGETHER batches come in at once, all in one partition."""
    found = []
    for first in range(0, len(records), TOGETHER):
        size = PACK_BYTES
        for each in records[first : first + TOGETHER]:
            for parcel in each.parcels:
                size += parcel.ByteSize()
                if size > PACK_BYTES:
                    found.append(ReadingsAccepted(version=1, received_at_us=each.received_at_us))
                    size = parcel.ByteSize()
                found[-1].parcels.append(parcel)
    return found


class _Nowhere:
    """A log that only numbers what it is given."""

    async def append(self, records: Sequence[Record]) -> list[Position]:
        return [Position(record.topic, 0, 0) for record in records]


async def _keys(names: Sequence[Name]) -> list[DataKey | None]:
    return [DataKey(TwinId(t), e, sha256(f"{t}|{e}".encode()).digest()) for t, e in names]


@dataclass(slots=True)
class Bench:
    """The stores of one run. `made`: runs so far, each with a partition of its own."""

    hot: Hot
    database: Database
    seals: VaultSeals
    made: int = 0

    async def ours(self, records: Sequence[ReadingsAccepted], *, stored: bool, flush: int = FLUSH) -> None:
        clock, part = SystemClock(), self.made
        self.made += 1
        news = LogAnnouncements(_Nowhere(), self.seals, clock, "didymos://bench/twin-state")
        partition = Partition(part, HotStore(self.hot), SqlHistory(self.database), self.seals, news)
        await partition.claim("bench")
        for first in range(0, len(records), flush):
            slice_ = list(enumerate(records))[first : first + flush]
            await self.seals.warm(name for _, said in slice_ for name in names_of(said))
            await partition.readings([await open_record(offset, said, self.seals) for offset, said in slice_])
            await partition.flush()
        if stored:
            await partition.checkpoint()
        if partition.counts.applied != sum(parcel.count for said in records for parcel in said.parcels):
            raise AssertionError("the benchmark lost readings")

    async def naive(self, rows: Sequence[tuple[str, int, float]], *, stored: bool) -> None:
        """A field of a hash for each reading; with `stored`, a row for each, in transactions of a batch."""
        self.made += 1
        for first in range(0, len(rows), BLOCKS * READINGS):
            batch = rows[first : first + BLOCKS * READINGS]
            for name, at, value in batch:
                await self.hot.run(FIELD, [f"naive:{self.made}"], [name, f"{at}:{value}"])
            if stored:
                async with self.database.unit_of_work() as tx:
                    insert = text("insert into naive values (:run, :name, :at, :value)")
                    values = [{"run": self.made, "name": name, "at": at, "value": value} for name, at, value in batch]
                    await tx.connection.execute(insert, values)


@asynccontextmanager
async def a_bench(folder: Path) -> AsyncIterator[Bench]:
    engine, clock = sqlite_engine(folder / "twin-state.db"), SystemClock()
    await upgrade(engine, migrations_of("twin-state"))
    async with (
        fake_hot() as hot,
        Database(engine, "twin-state", Stamp("didymos://bench/twin-state", clock, OrderedIds(clock))) as database,
    ):
        async with database.unit_of_work() as tx:
            await tx.connection.execute(text("create table naive(run integer, name text, at integer, value real)"))
        yield Bench(hot, database, VaultSeals(_keys, clock, lambda _: False))


async def _in_turn(ours: Callable[[], Awaitable[None]], other: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Median CPU seconds of both, called in turn after one warm-up each: the machine is shared."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        for work, into in zip((ours, other), taken, strict=True):
            begun = time.process_time()
            await work()
            if number:
                into.append(time.process_time() - begun)
    return median(taken[0]), median(taken[1])


def naive_rows(count: int) -> list[tuple[str, int, float]]:
    """The naive form takes its time: a few are enough."""
    now_us = time.time_ns() // 1000
    return [(f"pump/flow{number % BLOCKS}", now_us - number, 100.0) for number in range(count)]


async def lines() -> list[Measure]:
    rows, found = naive_rows(1_000), []
    singly = batches(100)
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        async with a_bench(Path(folder)) as bench:
            for shape in SHAPES.values():
                count = BATCHES[shape.name]
                records = packed(batches(count, shape))
                for stored in (False, True):
                    taken, naive = await _in_turn(
                        partial(bench.ours, records, stored=stored),
                        partial(bench.naive, rows, stored=stored),
                    )
                    goal = 12.0 if shape.name == "D" else None
                    found.append(
                        _line(f"apply {shape.name}", count * shape.size / taken, len(rows) / naive, stored, goal)
                    )
            taken, naive = await _in_turn(
                lambda: bench.ours(singly, stored=True, flush=ALONE), lambda: bench.naive(rows, stored=True)
            )
            size = len(singly) * BLOCKS * READINGS
            found.append(_line("apply D, a record a batch", size / taken, len(rows) / naive, stored=True, goal=None))
    return found


def _line(name: str, rate: float, against: float, stored: bool, goal: float | None) -> Measure:
    return measure(
        f"{name}{' + checkpoint' if stored else ''}, fakeredis, CPU", rate, "readings/s",
        against=f"HSET{' and a row' if stored else ''} per reading {against:,.0f}", ratio=rate / against, goal=goal,
    )  # fmt: skip


def run() -> list[Measure]:
    return asyncio.run(lines())
