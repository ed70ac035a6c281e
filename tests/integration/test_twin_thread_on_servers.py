"""From a reading in Kafka to a twin in Redis and PostgreSQL: applied once, over restarts and a wiped Redis."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from didymos_kit.hot import Script
from didymos_kit.house import House
from didymos_kit.house_settings import HouseSettings
from didymos_testing.house import served
from didymos_testing.servers import house_settings, wiped
from didymos_testing.twin_world import GLUCOSE, TwinWorld
from didymos_twin_state.bootstrap import bootstrap
from didymos_twin_state.settings import TwinStateSettings

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]
WIPE = Script("return redis.call('FLUSHALL')")
MINUTE_US = 60_000_000


@asynccontextmanager
async def a_world(settings: HouseSettings) -> AsyncIterator[TwinWorld]:
    async with (
        House.servers(settings, "twin-state-test") as house,
        bootstrap(TwinStateSettings(wait_seconds=30), house) as service,
        served(house, service) as world,
    ):
        yield TwinWorld(world)


async def shown(world: TwinWorld, token: str) -> tuple[float, list[float]]:
    """The current value, and all of the past."""
    heard = {"consistency-token": token}
    async with world.rest(world.owner) as client:
        twin = await client.get(f"/v1/twins/{world.twin}", headers=heard)
        assert twin.status_code == 200, twin.text
        past = await client.get(f"/v1/twins/{world.twin}/history", params={"property": GLUCOSE}, headers=heard)
        assert past.status_code == 200, past.text
    return twin.json()["reported"][GLUCOSE]["value"], past.json()["v"]


async def test_a_twin_outlives_its_process_and_a_wiped_redis(tmp_path: Path) -> None:
    settings = house_settings(tmp_path, os.environ)
    await wiped(settings)
    async with a_world(settings) as world:
        await world.create()
        now = world.house.clock.now_us()
        first = world.batch([100.0, 101.0], [now - 9 * MINUTE_US, now - 8 * MINUTE_US])
        token = await world.append(first, first)
        assert await shown(world, token) == (101.0, [100.0, 101.0])
        second = await world.append(world.batch([102.0], [now - 7 * MINUTE_US]))
    async with a_world(settings) as again:
        assert await shown(again, f"{token},{second}") == (102.0, [100.0, 101.0, 102.0])
        await again.house.hot.run(WIPE, [], [])
        third = await again.append(first, world.batch([103.0], [now - 6 * MINUTE_US]))
        assert await shown(again, third) == (103.0, [100.0, 101.0, 102.0, 103.0])
