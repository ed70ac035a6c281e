"""Kill -9 of the house while a broker brings batches: what the broker took is in history, each reading once."""

import asyncio
import random
from pathlib import Path
from typing import Any

import httpx
import pytest
from didymos_cli.client import http_client
from didymos_readings import encode_batch
from didymos_testing.chaos_devices import Device, assert_history_is_what_was_acknowledged, client_of, enrol, settled
from didymos_testing.chaos_house import DoomedHouse, a_doomed_house
from didymos_testing.mqtt_broker import MqttSender, a_broker

SECONDS = 120.0


async def published(house: DoomedHouse, device: Device, sender: MqttSender, draw: random.Random) -> None:
    """Batches that only the broker has acknowledged, until the house dies, at a time that nobody chose."""
    until = asyncio.get_running_loop().time() + draw.uniform(0.02, 0.8)
    while asyncio.get_running_loop().time() < until:
        batch = device.next_batch()
        await sender.publish(f"didymos/v1/batch/{device.key.did}", encode_batch(batch))
        device.acknowledged.append(batch)
    await house.kill()


async def arrived(house: DoomedHouse, device: Device, http: httpx.AsyncClient) -> None:
    """Until the last batch is applied. It waits for the broker to bring it; it is not sent again by us."""
    owner = client_of(device.owner, house.origin, http)
    times, _ = device.columns(0, device.readings)
    async with asyncio.timeout(SECONDS):
        path = f"/twin-state/v1/twins/{device.twin}/aggregate"
        asked: dict[str, Any] = {
            "property": "glucose/level",
            "step": "P7D",
            "fn": "count",
            "from": "0",
            "to": str(times[-1] + 1),
        }
        while sum((await owner.get(path, **asked))["v"]) < device.readings:  # noqa: ASYNC110 - history sets no event
            await asyncio.sleep(0.1)


@pytest.mark.chaos
@pytest.mark.timeout(900)
async def test_kills_lose_nothing_that_the_broker_took(tmp_path: Path, kills: int) -> None:
    draw = random.Random(20261129)
    async with a_broker(tmp_path / "broker") as broker:
        environ = {"DIDYMOS_INGESTION__MQTT__URL": broker.url}
        async with a_doomed_house(tmp_path / "house", environ) as house, http_client() as http:
            card = await house.start()
            device = Device("a device behind a broker", card.org)
            await enrol(device, house.origin, http)
            async with MqttSender(broker, "didymos/v1/answers/chaos") as sender:
                while house.kills < kills:
                    await published(house, device, sender, draw)
                    await house.start()
            await arrived(house, device, http)
            await assert_history_is_what_was_acknowledged(device, await settled(device, house.origin, http))
    assert device.made > kills
