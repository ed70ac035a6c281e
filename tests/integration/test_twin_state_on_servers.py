"""The stores of twin-state keep their promises on real Redis and PostgreSQL."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from didymos_kit.database.engine import Database, postgres_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.hot import Script
from didymos_kit.hot.redis import RedisHot
from didymos_testing.clock import FixedClock, seeded_ids
from didymos_testing.twin_past import StoredPastContract, Stores
from didymos_testing.twin_search import SearchContract
from didymos_testing.twin_stores import PART, HistoryContract, HotContract
from didymos_twin_state.adapters.history import SqlHistory
from didymos_twin_state.adapters.hot import HotStore, control, index
from didymos_twin_state.adapters.past import SqlPast
from didymos_twin_state.adapters.search import SqlSearch
from sqlalchemy import text

pytestmark = pytest.mark.servers
FORGET = Script("for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end")


class TestRedisHot(HotContract):
    @pytest.fixture
    async def hot(self, redis_url: str) -> AsyncIterator[HotStore]:
        async with RedisHot.at(redis_url) as store:
            for part in (PART, PART + 1):
                await store.run(FORGET, [control(part), index(part)], [f"*{{{part}}}*"])
            yield HotStore(store)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """A schema of its own, which goes with the test."""
    schema, clock = f"twin_state_{uuid4().hex[:8]}", FixedClock()
    unpooled = postgres_engine(postgres_url, schema, pooled=False)
    await upgrade(unpooled, migrations_of("twin-state"), schema)
    await unpooled.dispose()
    stamp = Stamp("didymos://test/twin-state", clock, seeded_ids(clock))
    async with Database(postgres_engine(postgres_url, schema), "twin-state", stamp) as opened:
        yield opened
    engine = postgres_engine(postgres_url, "public", pooled=False)
    async with engine.begin() as connection:
        await connection.execute(text(f'drop schema if exists "{schema}" cascade'))
    await engine.dispose()


class TestPostgresHistory(HistoryContract):
    @pytest.fixture
    def history(self, database: Database) -> SqlHistory:
        return SqlHistory(database)


class TestPostgresPast(StoredPastContract):
    @pytest.fixture
    def stores(self, database: Database) -> Stores:
        return SqlHistory(database), SqlPast(database)


class TestPostgresSearch(SearchContract):
    @pytest.fixture
    def stores(self, database: Database) -> tuple[SqlHistory, SqlSearch]:
        return SqlHistory(database), SqlSearch(database)
