"""The house on real Kafka, PostgreSQL and Redis keeps the promises of the embedded one."""

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from didymos_kit.database.engine import Database, postgres_engine
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.house import House
from didymos_testing.house_contract import HouseContract, make_tables
from didymos_testing.servers import a_schema, house_settings, wiped

pytestmark = pytest.mark.servers


@asynccontextmanager
async def a_house_on_servers(folder: Path) -> AsyncIterator[House]:
    settings = house_settings(folder, os.environ)
    await wiped(settings)
    async with House.servers(settings, "test") as house:
        yield house


@asynccontextmanager
async def a_postgres_desk(house: House, folder: Path) -> AsyncIterator[Database]:
    settings = house_settings(folder, os.environ)
    url, schema = settings.postgres_url.get_secret_value(), f"desk_{uuid4().hex[:8]}"
    await a_schema(url, schema)
    stamp = Stamp("didymos://test/desk", house.clock, house.ids)
    async with Database(postgres_engine(url, schema), "identity", stamp) as database:
        await make_tables(database)
        yield database


class TestHouseOnServers(HouseContract):
    @staticmethod
    def make_house(folder: Path) -> AbstractAsyncContextManager[House]:
        return a_house_on_servers(folder)

    @staticmethod
    def make_desk(house: House, folder: Path) -> AbstractAsyncContextManager[Database]:
        return a_postgres_desk(house, folder)
