"""kill -9 under load, of what a reading passes: ingestion, the workers of twin-state, Kafka, Redis, PostgreSQL.

Real servers of the test's own, devices of the shapes D, G and S; after each kill all is up again, at the end the
oracle compares. `make chaos-servers ARGS="--kills 100 -k data_path"`; data-path.md 10 and 17.
"""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from didymos_kit.hot.port import Script
from didymos_kit.hot.redis import RedisHot
from didymos_testing.chaos_services import ServiceProcesses
from didymos_testing.own_servers import OwnServers, own_servers
from didymos_testing.servers import house_settings

from tests.load.devices import LoadDevice
from tests.load.shapes import PROFILE, SHAPES, measured
from tests.load.traffic import Traffic, under_load

pytestmark = [pytest.mark.servers, pytest.mark.chaos, pytest.mark.timeout(6 * 3600)]
PROCESSES = ("identity", "ingestion", "twin-state")
TWINS = 8  # of a gateway
PACE_SECONDS = 0.05
ALIVE_SECONDS = (0.3, 3.0)  # what a victim lives with devices sending
AWAY_SECONDS = (0.0, 1.5)
FLUSH = Script("return redis.call('FLUSHALL')")
Deed = Callable[[], Awaitable[None]]


def deeds(house: ServiceProcesses, servers: OwnServers, draw: random.Random) -> dict[str, Deed]:
    """Ways in which something goes, and comes back."""

    async def service(name: str) -> None:
        await house.kill(name)
        await asyncio.sleep(draw.uniform(*AWAY_SECONDS))
        await house.start(name)

    async def server(name: str) -> None:
        servers.kill(name)
        await asyncio.sleep(draw.uniform(*AWAY_SECONDS))
        await servers.revive(name)

    async def both(name: str) -> None:
        """A worker that begins again on a store that was lost with it."""
        servers.kill(name)
        await house.kill("twin-state")
        await servers.revive(name)
        await house.start("twin-state")

    async def flushed() -> None:
        async with RedisHot.at(house.settings.redis_url) as hot:
            await hot.run(FLUSH, [], [])

    return {
        "ingestion": lambda: service("ingestion"), "twin-state": lambda: service("twin-state"),
        "kafka": lambda: server("kafka"), "redis": lambda: server("redis"), "postgres": lambda: server("postgres"),
        "FLUSHALL": flushed, "redis + twin-state": lambda: both("redis"),
        "postgres + twin-state": lambda: both("postgres"),
    }  # fmt: skip


def turns(names: list[str], kills: int, draw: random.Random) -> list[str]:
    """All of them, in an order that nobody chose, again and again."""
    found: list[str] = []
    while len(found) < kills:
        found += draw.sample(names, len(names))
    return found[:kills]


async def goes_on(traffic: Traffic, house: ServiceProcesses) -> None:
    """Until all are ready, and each device had another batch acknowledged."""
    for name in PROCESSES:
        await house.until(name, lambda said: bool(said.get("ready")))
    had = [device.last for device in traffic.devices]
    async with asyncio.timeout(300):
        while any(device.last is before for device, before in zip(traffic.devices, had, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_data_path_kills_lose_nothing_and_apply_nothing_twice(tmp_path: Path, kills_of_servers: int) -> None:
    draw, done, slowest = random.Random(time.time_ns()), Counter[str](), 0.0
    async with own_servers(tmp_path / "servers") as servers:
        house = ServiceProcesses(tmp_path, house_settings(tmp_path, servers.environ()))
        try:
            await house.start(*PROCESSES)
            ways = deeds(house, servers, draw)
            devices = []
            for shape in (SHAPES["D"], SHAPES["G"].narrowed(TWINS), SHAPES["S"].narrowed(TWINS)):
                device = LoadDevice(f"device of shape {shape.name}", house.keys.organisation.did, PROFILE, shape.twins)
                device.measured = measured(shape, device.ids, device.seed)
                devices.append(device)
            async with house.http() as http:
                traffic = Traffic(house.origin, http, devices, PACE_SECONDS, house.settings.postgres())
                async with under_load(traffic):
                    for name in turns(sorted(ways), kills_of_servers, draw):
                        await asyncio.sleep(draw.uniform(*ALIVE_SECONDS))
                        begun = time.monotonic()
                        await ways[name]()
                        await goes_on(traffic, house)
                        done[name] += 1
                        slowest = max(slowest, time.monotonic() - begun)
                        sys.stderr.write(f"\n{name}: as before after {time.monotonic() - begun:.1f} s")
                verdict = await traffic.verdict()
        finally:
            await house.stop()
    told = ", ".join(f"{name} {count}" for name, count in sorted(done.items()))
    sys.stderr.write(f"\n{done.total()} kills ({told}), slowest back after {slowest:.0f} s: {verdict}\n")
    assert not traffic.counted.faults, traffic.counted.faults[:20]
    assert verdict.acknowledged == traffic.counted.acknowledged > 0
    assert verdict.holds, verdict
