"""Kill -9 of the whole embedded house in mid-ingest: what was acknowledged is there, and each reading once."""

import asyncio
import random
import sqlite3
import sys
from pathlib import Path

import httpx
import pytest
from didymos_cli.client import http_client
from didymos_testing.chaos_devices import Device, assert_history_is_what_was_acknowledged, enrol, settled
from didymos_testing.chaos_house import DoomedHouse, a_doomed_house

PEOPLE = 3


async def killed(house: DoomedHouse, devices: list[Device], draw: random.Random) -> None:
    """Send from all devices until the house dies, at a time that nobody chose."""
    async with http_client() as http:
        senders = [asyncio.create_task(device.send(http, house.origin, draw)) for device in devices]
        await asyncio.wait(senders, timeout=draw.uniform(0.02, 1.0), return_when=asyncio.FIRST_EXCEPTION)
        await house.kill()
        ended = await asyncio.gather(*senders, return_exceptions=True)
    unforeseen = [error for error in ended if not isinstance(error, httpx.TransportError)]
    assert not unforeseen, unforeseen


def stored(folder: Path, device: Device) -> tuple[int, int]:
    """Readings and batches in history, as rows: a batch that was applied twice would have two."""
    connection = sqlite3.connect(f"file:{folder / 'db' / 'twin-state.db'}?mode=ro", uri=True)
    try:
        query = "select coalesce(sum(readings), 0), count(*) from reading_parcel where twin = ?"
        readings, batches = connection.execute(query, (device.twin,)).fetchone()
    finally:
        connection.close()
    return readings, batches


@pytest.mark.chaos
@pytest.mark.timeout(900)
async def test_kills_in_mid_ingest_lose_nothing_and_apply_nothing_twice(tmp_path: Path, kills: int) -> None:
    draw = random.Random(20261128)
    async with a_doomed_house(tmp_path / "house") as house:
        card = await house.start()
        devices = [Device(f"person {at}", card.org) for at in range(PEOPLE)]
        async with http_client() as http:
            for device in devices:
                await enrol(device, house.origin, http)
        while house.kills < kills:
            await killed(house, devices, draw)
            await house.start()
        async with http_client() as http:
            for device in devices:
                await assert_history_is_what_was_acknowledged(device, await settled(device, house.origin, http))
        for device in devices:
            assert len(device.acknowledged) == device.made
            assert stored(house.folder, device) == (device.readings, len(device.acknowledged))
    total, repeats = sum(device.readings for device in devices), sum(device.repeated for device in devices)
    sys.stderr.write(f"\n{kills} kills in mid-ingest: {total} readings acknowledged, {repeats} batches sent again, ")
    sys.stderr.write("0 lost, 0 twice\n")
    assert total > kills
