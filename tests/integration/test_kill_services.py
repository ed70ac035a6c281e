"""Each service is a process on real Kafka, Redis and PostgreSQL, and is killed once while devices keep sending.

What was acknowledged is in history, each reading once, and what owners granted and revoked holds.
"""

import asyncio
import os
import random
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from didymos_cli.card import SERVICES
from didymos_cli.client import Client
from didymos_cli.owner import Given, give_grant, revoke_grant, window
from didymos_contracts.errors import Problem
from didymos_did import DPV, Action, Budget, Purpose, make_terms
from didymos_kit.clock import SystemClock
from didymos_kit.database.engine import postgres_engine
from didymos_kit.ids import OrderedIds
from didymos_testing.chaos_devices import (
    Device,
    assert_history_is_what_was_acknowledged,
    client_of,
    enrol,
    settled,
)
from didymos_testing.chaos_services import ServiceProcesses, service_processes
from didymos_testing.did import a_signer
from didymos_testing.servers import house_settings, wiped
from sqlalchemy import text

pytestmark = [pytest.mark.servers, pytest.mark.chaos, pytest.mark.timeout(900)]
PEOPLE = 2
HEALTH = Purpose(DPV + "ImproveHealthcare")
CLINICIAN = a_signer("clinician")
ALIVE_SECONDS = (0.2, 1.0)  # what a service lives before it is killed, with devices sending


async def read_grant(owner: Client, device: Device) -> Given:
    terms = make_terms([Action.READ, Action.HISTORY], ["features/**"], [HEALTH], window(), budget=Budget(reads=1000))
    return await give_grant(owner, OrderedIds(SystemClock()).uuid7(), CLINICIAN.did, device.twin, terms)


async def sending(device: Device, house: ServiceProcesses, stopping: asyncio.Event) -> None:
    """One batch after the other; the same bytes again when there was no answer."""
    async with house.http() as http:
        while not stopping.is_set():
            with suppress(httpx.TransportError):
                await device.offer(http, house.origin)
            await asyncio.sleep(0.01)


async def allowed(device: Device, house: ServiceProcesses, http: httpx.AsyncClient, owner: Client) -> bool:
    """Whether the clinician may read, given all that the owner said."""
    clinician = client_of(CLINICIAN, house.origin, http)
    clinician.seen.remember(owner.seen.token("ic"))
    try:
        await clinician.get(f"/twin-state/v1/twins/{device.twin}", purpose=HEALTH)
    except Problem as problem:
        if problem.row.retry == "later":
            raise
        return False
    return True


async def rows(house: ServiceProcesses, device: Device) -> tuple[int, int]:
    """Readings and batches in history, as rows: a batch that was applied twice would have two."""
    engine = postgres_engine(house.settings.postgres_url.get_secret_value(), "twin_state", pooled=False)
    query = text("select coalesce(sum(readings), 0), count(*) from twin_state.reading_parcel where twin = :twin")
    async with engine.connect() as connection:
        readings, batches = (await connection.execute(query, {"twin": device.twin})).one()
    await engine.dispose()
    return int(readings), int(batches)


async def test_each_service_is_killed_and_nothing_acknowledged_is_lost_or_twice(tmp_path: Path) -> None:
    settings, draw = house_settings(tmp_path, os.environ), random.Random(20261128)
    await wiped(settings)
    async with service_processes(tmp_path, settings) as house, house.http() as http:
        devices = [Device(f"person {at}", house.keys.organisation.did) for at in range(PEOPLE)]
        owners = [await enrol(device, house.origin, http) for device in devices]
        reader, denied = devices
        await read_grant(owners[0], reader)
        await revoke_grant(owners[1], await read_grant(owners[1], denied))
        stopping = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for device in devices:
                group.create_task(sending(device, house, stopping))
            for name in draw.sample(SERVICES, len(SERVICES)):
                await asyncio.sleep(draw.uniform(*ALIVE_SECONDS))
                await house.kill(name)
                await house.start(name)
            stopping.set()
        for device in devices:
            await assert_history_is_what_was_acknowledged(device, await settled(device, house.origin, http))
            assert len(device.acknowledged) == device.made
            assert await rows(house, device) == (device.readings, len(device.acknowledged))
        assert await allowed(reader, house, http, owners[0])
        assert not await allowed(denied, house, http, owners[1])
        total = sum(device.readings for device in devices)
        sys.stderr.write(f"\n{house.kills} services killed: {total} readings acknowledged, 0 lost, 0 twice\n")
