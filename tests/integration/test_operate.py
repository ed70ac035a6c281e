"""Back ends that come late, are killed under load and return: every process lives, says what it waits for, recovers.

What was acknowledged is in history, each reading once; while a back end is away calls answer 503 with Retry-After.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from didymos_cli.client import Client
from didymos_contracts.errors import Problem
from didymos_kit.database.engine import postgres_engine
from didymos_testing.chaos_devices import Device, assert_history_is_what_was_acknowledged, client_of, enrol, settled
from didymos_testing.chaos_services import ServiceProcesses
from didymos_testing.own_servers import NAMES, OwnServers, own_servers
from didymos_testing.servers import house_settings
from sqlalchemy import text

pytestmark = [pytest.mark.servers, pytest.mark.chaos, pytest.mark.timeout(600)]
PROCESSES = ("identity", "ingestion", "twin-state")
PEOPLE = 2
AWAY_SECONDS = 4.0  # after its absence was noticed
REASONS = {"redis": "hot store", "postgres": "twin-state", "kafka": "log"}


@dataclass
class Load:
    """Devices that send and owners that read, through one door; it keeps what was answered."""

    house: ServiceProcesses
    devices: list[Device]
    owners: list[Client]
    wrong: list[str] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def door(self) -> AsyncIterator[httpx.AsyncClient]:
        async with self.house.http() as http:
            http.event_hooks = {"response": [self.heard]}
            yield http

    async def heard(self, answer: httpx.Response) -> None:
        self.answers[answer.status_code] += 1
        if answer.status_code >= 500 and (answer.status_code != 503 or "retry-after" not in answer.headers):
            body = (await answer.aread()).decode()
            self.wrong.append(f"{answer.request.method} {answer.request.url.path} {answer.status_code} {body[:300]}")

    async def send(self, device: Device) -> None:
        async with self.door() as http:
            while not self.stopping.is_set():
                with suppress(httpx.TransportError):
                    await device.offer(http, self.house.origin)
                await asyncio.sleep(0.02)

    async def read(self, device: Device, owner: Client) -> None:
        async with self.door() as http:
            reader = client_of(device.owner, self.house.origin, http)
            reader.seen.join(owner.seen)
            while not self.stopping.is_set():
                try:
                    await reader.get(f"/twin-state/v1/twins/{device.twin}")
                except Problem as problem:
                    self.refusals[problem.row.code] += 1
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)

    async def goes_on(self, batches: int = 3) -> None:
        """Until each device had so many more batches acknowledged."""
        wanted = [len(device.acknowledged) + batches for device in self.devices]
        async with asyncio.timeout(180):
            while any(len(device.acknowledged) < most for device, most in zip(self.devices, wanted, strict=True)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def rows(url: str, device: Device) -> tuple[int, int]:
    """Readings and batches in history, as rows: a batch that was applied twice would have two."""
    engine = postgres_engine(url, "twin_state", pooled=False)
    query = text("select coalesce(sum(readings), 0), count(*) from twin_state.reading_parcel where twin = :twin")
    async with engine.connect() as connection:
        readings, batches = (await connection.execute(query, {"twin": device.twin})).one()
    await engine.dispose()
    return int(readings), int(batches)


async def starts_before_its_back_ends(house: ServiceProcesses, servers: OwnServers) -> None:
    """All are live and say why they are not ready; then the back ends come, one after the other."""
    await house.launch(*PROCESSES)
    for name in PROCESSES:
        said = await house.until(name, lambda said: "unavailable" in said.get("reasons", {}).get("process", ""))
        assert not said["ready"]
        assert (await house.probed(name, "live"))["live"]
    for server in NAMES:
        await servers.revive(server)
    for name in PROCESSES:
        await house.until(name, lambda said: bool(said.get("ready")))


async def goes_away(server: str, house: ServiceProcesses, servers: OwnServers, load: Load) -> float:
    """Killed, noticed, revived; the seconds from its return until all is as before."""
    servers.kill(server)
    await house.until("twin-state", lambda said: REASONS[server] in said.get("reasons", {}))
    await asyncio.sleep(AWAY_SECONDS)
    await servers.revive(server)
    back = time.monotonic()
    for name in PROCESSES:
        await house.until(name, lambda said: bool(said.get("ready")))
    await load.goes_on()
    return time.monotonic() - back


async def test_back_ends_come_late_go_and_return_and_nothing_is_lost_or_twice(tmp_path: Path) -> None:
    async with own_servers(tmp_path / "servers") as servers:
        servers.kill(*NAMES)
        settings = house_settings(tmp_path, servers.environ())
        house = ServiceProcesses(tmp_path, settings)
        try:
            begun = time.monotonic()
            await starts_before_its_back_ends(house, servers)
            told = [f"all ready {time.monotonic() - begun:.0f} s after the start"]
            devices = [Device(f"person {at}", house.keys.organisation.did) for at in range(PEOPLE)]
            async with house.http() as http:
                owners = [await enrol(device, house.origin, http) for device in devices]
                load = Load(house, devices, owners)
                async with asyncio.TaskGroup() as group:
                    for device, owner in zip(devices, owners, strict=True):
                        group.create_task(load.send(device))
                        group.create_task(load.read(device, owner))
                    await load.goes_on()
                    for server in NAMES:
                        seconds = await goes_away(server, house, servers, load)
                        told.append(f"{server} back: as before after {seconds:.1f} s")
                    load.stopping.set()
                for device in devices:
                    await assert_history_is_what_was_acknowledged(device, await settled(device, house.origin, http))
                    assert len(device.acknowledged) == device.made
                    assert await rows(settings.postgres(), device) == (device.readings, len(device.acknowledged))
            assert not load.wrong, (load.wrong[:20], load.refusals)
            total = sum(device.readings for device in devices)
            told.append(f"answers {dict(load.answers)}; {total} readings acknowledged, 0 lost, 0 twice")
            servers.kill(*NAMES)  # and they end in time even so
            async with asyncio.timeout(60):
                codes = await asyncio.gather(*map(house.terminate, PROCESSES))
            assert codes == [0] * len(PROCESSES)
        finally:
            await house.stop()
    sys.stderr.write("\n" + "\n".join(told) + "\n")
