"""The list of refusals keeps its promises on real PostgreSQL."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from didymos_ingestion.adapters.refusals import SqlRefusals
from didymos_kit.database.engine import Database, postgres_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_testing.clock import FixedClock, seeded_ids
from didymos_testing.ingestion_refusals import NOON, RefusalsContract
from sqlalchemy import text

pytestmark = pytest.mark.servers


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[SqlRefusals]:
    """In a schema of its own, which goes with the test."""
    clock, schema = FixedClock(NOON), f"ingestion_{uuid4().hex[:8]}"
    migrations = migrations_of("ingestion")
    unpooled = postgres_engine(postgres_url, schema, pooled=False)
    await upgrade(unpooled, migrations, schema)
    stamp = Stamp("didymos://test/ingestion", clock, seeded_ids(clock))
    async with Database(postgres_engine(postgres_url, schema), "ingestion", stamp, migrations) as database:
        yield SqlRefusals(database)
    async with unpooled.begin() as connection:
        await connection.execute(text(f'drop schema if exists "{schema}" cascade'))
    await unpooled.dispose()


class TestRefusalsOnPostgres(RefusalsContract):
    """With the fixture `store` above."""
