"""The stores in memory and the embedded ones keep the same promises."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.hot.fake import fake_hot
from didymos_testing.clock import FixedClock, seeded_ids
from didymos_testing.twin_past import MemoryPast, PastContract, StoredPastContract, Stores
from didymos_testing.twin_search import SearchContract
from didymos_testing.twin_state import MemoryHistory, MemoryHot, Mortality
from didymos_testing.twin_stores import HistoryContract, HotContract
from didymos_twin_state.adapters.history import SqlHistory
from didymos_twin_state.adapters.hot import HotStore
from didymos_twin_state.adapters.past import SqlPast
from didymos_twin_state.adapters.search import SqlSearch
from didymos_twin_state.adapters.tables import METADATA
from sqlalchemy import Connection, inspect


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    engine, clock = sqlite_engine(tmp_path / "twin-state.db"), FixedClock()
    await upgrade(engine, migrations_of("twin-state"))
    stamp = Stamp("didymos://test/twin-state", clock, seeded_ids(clock))
    async with Database(engine, "twin-state", stamp) as opened:
        yield opened


class TestMemoryHot(HotContract):
    @pytest.fixture
    def hot(self) -> MemoryHot:
        return MemoryHot(Mortality())


class TestEmbeddedHot(HotContract):
    @pytest.fixture
    async def hot(self) -> AsyncIterator[HotStore]:
        async with fake_hot() as store:
            yield HotStore(store)


class TestMemoryHistory(HistoryContract):
    @pytest.fixture
    def history(self) -> MemoryHistory:
        return MemoryHistory(Mortality())


class TestSqliteHistory(HistoryContract):
    @pytest.fixture
    def history(self, database: Database) -> SqlHistory:
        return SqlHistory(database)


class TestMemoryPast(PastContract):
    @pytest.fixture
    def stores(self) -> Stores:
        history = MemoryHistory(Mortality())
        return history, MemoryPast(history)


class TestSqlitePast(StoredPastContract):
    @pytest.fixture
    def stores(self, database: Database) -> Stores:
        return SqlHistory(database), SqlPast(database)


class TestSqliteSearch(SearchContract):
    @pytest.fixture
    def stores(self, database: Database) -> tuple[SqlHistory, SqlSearch]:
        return SqlHistory(database), SqlSearch(database)


async def test_the_migrations_make_the_tables_that_the_code_knows(database: Database) -> None:
    def shapes(connection: Connection) -> dict[str, dict[str, bool]]:
        found = inspect(connection)
        return {
            name: {column["name"]: bool(column["nullable"]) for column in found.get_columns(name)}
            for name in METADATA.tables
        }

    async with database.read() as connection:
        made = await connection.run_sync(shapes)
    assert made == {
        name: {column.name: bool(column.nullable) for column in table.columns}
        for name, table in METADATA.tables.items()
    }
