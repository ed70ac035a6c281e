"""A unit of work that is cancelled anywhere leaves no lock: who comes next writes at once."""

import asyncio
import gc
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from didymos_kit.clock import SystemClock
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.ids import OrderedIds
from sqlalchemy import text

CLOCK = SystemClock()
STAMP = Stamp("didymos://test/desk", CLOCK, OrderedIds(CLOCK))
CANCELLED = 60


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What a traceback holds stays, as it may in a process that has much to do."""
    gc.disable()
    yield
    gc.enable()


def locked(path: Path) -> bool:
    other = sqlite3.connect(path, timeout=0.5, isolation_level=None)
    try:
        other.execute("begin immediate")
    except sqlite3.OperationalError:
        return True
    finally:
        other.close()
    return False


@pytest.mark.usefixtures("no_collector")
async def test_a_unit_that_is_cancelled_leaves_no_lock(tmp_path: Path) -> None:
    path, draw = tmp_path / "desk.db", random.Random(20261128)

    async def writing(database: Database) -> None:
        while True:
            async with database.unit_of_work() as tx:
                await tx.connection.execute(text("insert into t values (1)"))
                await tx.connection.execute(text("select count(*) from t"))

    async with Database(sqlite_engine(path), "desk", STAMP) as database:
        async with database.unit_of_work() as tx:
            await tx.connection.execute(text("create table t (a integer)"))
        for _ in range(CANCELLED):
            writer = asyncio.create_task(writing(database))
            await asyncio.sleep(draw.uniform(0.0, 0.01))
            writer.cancel()
            await asyncio.wait([writer])
            assert writer.cancelled()
            assert not await asyncio.to_thread(locked, path)
