"""The stores of identity keep their promises on real PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
from didymos_identity.adapters.vault import SqlVault
from didymos_kit.database.engine import Database, postgres_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_testing.clock import FixedClock, seeded_ids
from didymos_testing.identity_bench import MASTER, Bench, StoresContract
from sqlalchemy import text

pytestmark = pytest.mark.servers


@pytest.fixture
async def bench(postgres_url: str) -> AsyncIterator[Bench]:
    """In two schemas of its own, which go with the test."""
    clock, suffix = FixedClock(), uuid4().hex[:8]
    async with AsyncExitStack() as stack:
        opened = []
        for name in ("identity", "identity.vault"):
            schema = f"{name.replace('.', '_')}_{suffix}"
            unpooled = postgres_engine(postgres_url, schema, pooled=False)
            await upgrade(unpooled, migrations_of(name), schema)
            await unpooled.dispose()
            stack.push_async_callback(dropped, postgres_url, schema)
            stamp = Stamp("didymos://test/identity", clock, seeded_ids(clock))
            engine = postgres_engine(postgres_url, schema)
            opened.append(await stack.enter_async_context(Database(engine, name, stamp, migrations_of(name))))
        yield Bench(opened[0], SqlVault(opened[1], MASTER), clock)


async def dropped(url: str, schema: str) -> None:
    engine = postgres_engine(url, "public", pooled=False)
    async with engine.begin() as connection:
        await connection.execute(text(f'drop schema if exists "{schema}" cascade'))
    await engine.dispose()


class TestStoresOnPostgres(StoresContract):
    """With the fixture `bench` above."""
