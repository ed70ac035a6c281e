"""Apply: sealed batches of 100 to state, history and announcements, against a field write and a row per reading.

Ours opens each parcel, merges it, commits blobs and offsets in one Lua step, stores parcels and snapshots in one
transaction. Naive: one HSET per reading, with and without one row per reading. data-path.md sections 2 and 17.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsAccepted
from didymos_did import DataKey, TwinId
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

BUILD: Final = Path(__file__).resolve().parents[2] / "build"  # a disk: the folder for temporary files may be memory
BATCHES: Final = 100  # of one timed run, flushed each 20
FLUSH: Final = 20
BLOCKS: Final = 5
READINGS: Final = 20  # a block
ROUNDS: Final = 5
DEVICE, TWIN, OPERATOR = (a_signer(f"bench {name}") for name in ("device", "apply twin", "operator"))
FIELD: Final = Script("redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])")


def batches(count: int) -> list[ReadingsAccepted]:
    """Records of the log: one device and twin, five properties of twenty readings."""
    now_us, draw = time.time_ns() // 1000, np.random.default_rng(7)
    stream = DeviceStream(DEVICE, OPERATOR.did, "generic@1")
    found = []
    for number in range(count):
        times = now_us - np.arange((count - number) * READINGS, (count - number - 1) * READINGS, -1) * 1_000_000
        columns = [
            Column(TWIN.did, f"pump/flow{block}", "L/min", times.astype(np.int64), draw.normal(100, 5, READINGS))
            for block in range(BLOCKS)
        ]
        sent = stream.batch(columns, now_us)
        found.append(sealed_parcels(sent, DEVICE, OPERATOR.did, now_us, "generic@1"))
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

    async def ours(self, records: Sequence[ReadingsAccepted], *, stored: bool) -> None:
        clock, part = SystemClock(), self.made
        self.made += 1
        news = LogAnnouncements(_Nowhere(), self.seals, clock, "didymos://bench/twin-state")
        partition = Partition(part, HotStore(self.hot), SqlHistory(self.database), self.seals, news)
        await partition.claim("bench")
        for first in range(0, len(records), FLUSH):
            slice_ = list(enumerate(records))[first : first + FLUSH]
            await self.seals.warm(name for _, said in slice_ for name in names_of(said))
            await partition.readings([await open_record(offset, said, self.seals) for offset, said in slice_])
            await partition.flush()
        if stored:
            await partition.checkpoint()
        if partition.counts.applied != len(records) * BLOCKS * READINGS:
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


async def lines() -> list[Measure]:
    records, few = batches(BATCHES), BATCHES // 10  # the naive form takes its time: a tenth of it is enough
    now_us = time.time_ns() // 1000
    rows = [
        (f"pump/flow{block}", now_us - at, 100.0)
        for _ in range(few)
        for block in range(BLOCKS)
        for at in range(READINGS)
    ]
    size, found = BATCHES * BLOCKS * READINGS, []
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        async with a_bench(Path(folder)) as bench:
            for name, stored, goal in (("apply", False, 12.0), ("apply + checkpoint", True, 12.0)):

                async def ours(stored: bool = stored) -> None:
                    await bench.ours(records, stored=stored)

                async def other(stored: bool = stored) -> None:
                    await bench.naive(rows, stored=stored)

                taken, naive = await _in_turn(ours, other)
                rate, against = size / taken, len(rows) / naive
                said = f"HSET{' and a row' if stored else ''} per reading {against:,.0f}"
                found.append(
                    measure(
                        f"{name}, batches of 100, fakeredis, CPU", rate, "readings/s", against=said,
                        ratio=rate / against, goal=goal,
                    )
                )  # fmt: skip
    return found


def run() -> list[Measure]:
    return asyncio.run(lines())
