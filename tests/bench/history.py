"""Aggregates over 10,000 to 1,000,000 points: sealed parcels, series and rollups, against a row per reading.

On SQLite, and on PostgreSQL where `DIDYMOS_POSTGRES_URL` names one (`make servers`). The table has plain values, an
index on (twin, property, time) and is aggregated by the database itself. data-path.md sections 2 and 17.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from didymos_did import DataKey, Facts, Freshness, GrantId, Ownership, TwinId, Usage
from didymos_kit.clock import SystemClock
from didymos_kit.database.engine import Database, postgres_engine, sqlite_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.ids import OrderedIds
from didymos_readings import Column, DeviceStream
from didymos_testing.did import OWNER, a_signer
from didymos_testing.twin_world import sealed_parcels
from didymos_twin_state.adapters.history import SqlHistory
from didymos_twin_state.adapters.past import SqlPast
from didymos_twin_state.adapters.readings import open_record, open_stored
from didymos_twin_state.adapters.seals import Name, VaultSeals
from didymos_twin_state.application.fold_history import Folder, fold_twin
from didymos_twin_state.application.past_ports import Due
from didymos_twin_state.application.permits import Permits, Reader
from didymos_twin_state.application.ports import Dirty, Marks, StoredParcel
from didymos_twin_state.application.read_aggregate import AggregateQuery, read_aggregate
from didymos_twin_state.application.read_history import Past
from didymos_twin_state.application.read_twin import part_of
from didymos_twin_state.domain.reading import OpenParcel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.bench.measure import Measure, measure

BUILD: Final = Path(__file__).resolve().parents[2] / "build"
SIZES: Final = (10_000, 100_000, 1_000_000)  # the last: as many readings as one answer may cover
STEP_US: Final = 60_000_000  # a reading a minute
HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
BEGIN_US: Final = 20_000 * DAY_US
ROUNDS: Final = {10_000: 15, 100_000: 5, 1_000_000: 1}
NAME: Final = "pump/flow"
DEVICE, OPERATOR = (a_signer(f"bench {name}") for name in ("device", "operator"))
TABLE: Final = (
    "create table if not exists reading_row(twin text, property text, t bigint, v double precision, "
    "primary key(twin, property, t))"
)
SELECT: Final = (
    "select t / :step * :step, avg(v) from reading_row where twin = :twin and property = :name and t >= :begin "
    "and t < :end group by 1 order by 1"
)
ALL: Final = (
    "select t, v from reading_row where twin = :twin and property = :name and t >= :begin and t < :end order by t"
)


class _Mine:
    """The owner asks."""

    def facts(self, _twin: TwinId, usage: dict[GrantId, Usage]) -> Facts:
        return Facts(Ownership(OWNER.did), (), Freshness.FRESH, usage=usage)

    def usage(self, _twin: TwinId) -> dict[GrantId, Usage]:
        return {}

    def last_hour(self, _grant: GrantId) -> int:
        return 0

    def read(self, grant: GrantId) -> None:
        """Owners are not counted."""


async def _keys(names: Sequence[Name]) -> list[DataKey | None]:
    return [DataKey(TwinId(t), e, sha256(f"{t}|{e}".encode()).digest()) for t, e in names]


class Bench:
    """One twin with the same readings twice: as parcels, and as rows."""

    def __init__(self, database: Database, points: int) -> None:
        clock = SystemClock()
        self.batch = 100 if points <= 100_000 else 1_000
        self.points, self.span = points, (BEGIN_US, BEGIN_US + points * STEP_US)
        self.twin = a_signer(f"bench history twin {points}").did
        self.database, self.seals = database, VaultSeals(_keys, clock, lambda _: False)
        self.history, self.stored = SqlHistory(database), SqlPast(database)
        self.past = Past(self.history, self.stored, self._opened, self.seals, 1.0)
        self.permits = Permits(_Mine(), _Mine(), clock)  # type: ignore[arg-type]

    async def _opened(self, stored: StoredParcel) -> OpenParcel | None:
        return await open_stored(stored, self.seals)

    async def fill(self) -> None:
        now_us, draw = time.time_ns() // 1000, np.random.default_rng(7)
        times = BEGIN_US + np.arange(self.points, dtype=np.int64) * STEP_US
        values = draw.normal(100, 5, self.points)
        stream, part = DeviceStream(DEVICE, OPERATOR.did, "generic@1"), part_of(self.twin)
        dirty = Dirty()
        for offset, first in enumerate(range(0, self.points, self.batch)):
            some = slice(first, first + self.batch)
            sent = stream.batch([Column(self.twin, NAME, "L/min", times[some], values[some])], now_us, backfill=True)
            said = sealed_parcels(sent, DEVICE, OPERATOR.did, now_us, "generic@1")
            dirty.parcels += (await open_record(offset, said, self.seals)).parcels
        claimed = await self.history.claim(part, "bench")
        await self.history.checkpoint(part, claimed.epoch, Marks(), Marks(self.points // self.batch, 0), dirty)
        rows = [
            {"twin": self.twin, "name": NAME, "at": at, "value": value}
            for at, value in zip(times.tolist(), values.tolist(), strict=True)
        ]
        async with self.database.unit_of_work() as tx:
            await tx.connection.execute(text(TABLE))
            await tx.connection.execute(text("insert into reading_row values (:twin, :name, :at, :value)"), rows)

    async def fold(self) -> float:
        begun, now_us = time.perf_counter(), time.time_ns() // 1000
        folder = Folder(self.stored, self._opened, self.seals)
        while await fold_twin(Due(self.twin, ""), None, now_us, folder):
            pass
        return time.perf_counter() - begun

    async def ours(self, step_us: int, function: str) -> list[float | None]:
        query = AggregateQuery(TwinId(self.twin), NAME, *self.span, step_us, function)
        reader = Reader(OWNER.did, None, None)
        return list((await read_aggregate(query, reader, self.permits, self.past)).buckets.values)

    async def rows(self, step_us: int, function: str) -> list[float | None]:
        named = {"step": step_us, "twin": self.twin, "name": NAME, "begin": self.span[0], "end": self.span[1]}
        async with self.database.read() as connection:
            if function == "avg":
                return [row[1] for row in await connection.execute(text(SELECT), named)]
            del named["step"]
            found = np.array([tuple(row) for row in await connection.execute(text(ALL), named)])
        ids = found[:, 0].astype(np.int64) // step_us
        return [float(np.percentile(found[ids == each, 1], 95)) for each in np.unique(ids)]


async def _taken(
    ours: Callable[[], Awaitable[object]], other: Callable[[], Awaitable[object]], rounds: int
) -> tuple[float, float]:  # fmt: skip
    """Median milliseconds of both, in turn: the machine is shared."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for work, into in zip((ours, other), taken, strict=True):
            begun = time.perf_counter()
            await work()
            if number:
                into.append((time.perf_counter() - begun) * 1000)
    return median(taken[0]), median(taken[1])


@asynccontextmanager
async def a_database(engine: AsyncEngine, schema: str | None = None) -> AsyncIterator[Database]:
    clock = SystemClock()
    await upgrade(engine, migrations_of("twin-state"), *([schema] if schema else []))
    async with Database(engine, "twin-state", Stamp("didymos://bench/twin-state", clock, OrderedIds(clock))) as opened:
        yield opened


async def lines_of(database: Database, name: str) -> list[Measure]:
    return [line for points in SIZES for line in await lines_at(Bench(database, points), name)]


async def lines_at(bench: Bench, name: str) -> list[Measure]:
    found = []
    await bench.fill()
    large = bench.points > 100_000
    first = ("avg a day", DAY_US, "avg") if large else ("avg an hour", HOUR_US, "avg")
    asked = (first, ("p95 a day", DAY_US, "p95"))
    for stage in ("folded",) if large else ("parcels", "folded"):
        if stage == "folded":
            await bench.fold()
        for said, step_us, function in asked:
            mine, theirs = await bench.ours(step_us, function), await bench.rows(step_us, function)
            if not np.allclose(np.array(mine, float), np.array(theirs, float), rtol=1e-12):
                raise AssertionError("the benchmark compares different answers")
            ms, rows_ms = await _taken(
                partial(bench.ours, step_us, function), partial(bench.rows, step_us, function), ROUNDS[bench.points]
            )
            found.append(
                measure(
                    f"{name}: {said} over {bench.points // 1000} k points, {stage}", ms, "ms",
                    against=f"row per reading {rows_ms:.1f} ms",
                    ratio=rows_ms / ms, goal=5.0 if stage == "folded" else None,
                )
            )  # fmt: skip
    return found


async def lines() -> list[Measure]:
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        async with a_database(sqlite_engine(Path(folder) / "twin-state.db")) as database:
            found = await lines_of(database, "SQLite")
    url = os.environ.get("DIDYMOS_POSTGRES_URL")
    if url is not None:
        schema = f"bench_{time.time_ns()}"
        engine = postgres_engine(url, "public", pooled=False)
        try:
            await upgrade(postgres_engine(url, schema, pooled=False), migrations_of("twin-state"), schema)
            async with a_database(postgres_engine(url, schema), schema) as database:
                found += await lines_of(database, "PostgreSQL")
        finally:
            async with engine.begin() as connection:
                await connection.execute(text(f'drop schema if exists "{schema}" cascade'))
            await engine.dispose()
    return found


def run() -> list[Measure]:
    return asyncio.run(lines())
