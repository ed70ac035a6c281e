"""Kill -9 of the whole embedded house in mid-ingest: what was acknowledged is there, and each reading once."""

import asyncio
import random
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from didymos_cli.client import Client, Seen, http_client
from didymos_cli.device import MEDIA, PATH
from didymos_cli.owner import create_twin, enrol_device, register_twin
from didymos_did import Did, Ed25519Signer, ProofKey, TwinId
from didymos_readings import Column, DeviceStream, Envelope
from didymos_readings.batch import message_of
from didymos_testing.did import a_signer
from didymos_testing.house import free_port

PROGRAM = """
import asyncio, sys
from pathlib import Path
from typing import Any
from didymos_cli.up import running_house
from didymos_kit import log
from didymos_kit.house import Where

async def main(folder: str, rest: str, grpc: str) -> None:
    where = Where(f"http://127.0.0.1:{rest}", f"127.0.0.1:{grpc}")
    async with running_house(Path(folder), where, names=("identity", "ingestion", "twin-state")) as running:
        print(running.house.org, flush=True)
        await asyncio.sleep(600)

log.configure(level="ERROR")
asyncio.run(main(*sys.argv[1:]))
"""
GLUCOSE = "glucose/level"
READINGS = 20
PEOPLE = 3
PERIOD_US = 300_000_000


@dataclass
class Device:
    """One device of one twin: it stores what it signed, and sends the same bytes until they are acknowledged."""

    name: str
    org: Did
    made: int = 0
    pending: Envelope | None = None
    acknowledged: list[Envelope] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.owner, self.twin_key, self.key = (a_signer(f"{self.name} {who}") for who in ("owner", "twin", "device"))
        self.twin = TwinId(self.twin_key.did)
        self.stream = DeviceStream(self.key, self.org, "glucose@1")
        self.begin_us = time.time_ns() // 1000 - 200_000 * PERIOD_US

    @property
    def readings(self) -> int:
        return READINGS * len(self.acknowledged)

    def next_batch(self) -> Envelope:
        first = self.begin_us + self.made * READINGS * PERIOD_US
        times = first + np.arange(READINGS, dtype=np.int64) * PERIOD_US
        self.made += 1
        column = Column(self.twin, GLUCOSE, "mg/dL", times, 100.0 + np.arange(READINGS) % 7)
        return self.stream.batch([column], time.time_ns() // 1000, backfill=True)

    async def send(self, http: httpx.AsyncClient, origin: str, draw: random.Random) -> None:
        """One batch after the other, now and then one that was acknowledged before. Raises when the house is gone."""
        while True:
            if self.acknowledged and draw.random() < 0.2:
                await _post(http, origin, draw.choice(self.acknowledged))
            self.pending = self.pending or self.next_batch()
            if await _post(http, origin, self.pending):
                self.acknowledged.append(self.pending)
                self.pending = None


async def _post(http: httpx.AsyncClient, origin: str, envelope: Envelope) -> bool:
    """Whether the batch was taken: the tails of a house that just began may not know the device yet."""
    body = message_of(envelope).SerializeToString()
    answer = await http.post(origin + PATH, content=body, headers={"content-type": MEDIA})
    if answer.status_code == 202:
        assert answer.json()["accepted"] == READINGS, answer.text
        return True
    assert answer.status_code in (429, 503), answer.text
    await asyncio.sleep(0.05)
    return False


@asynccontextmanager
async def a_process(folder: Path, ports: tuple[int, int]) -> AsyncIterator[tuple[asyncio.subprocess.Process, Did]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(folder), *map(str, ports), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            org = (await process.stdout.readline()).decode().strip()
        assert org, "the house did not start"
        yield process, Did(org)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def enrol(device: Device, origin: str, http: httpx.AsyncClient) -> Client:
    owner = Client(origin, device.owner, http, Seen(), _key(device.owner))
    await register_twin(owner, device.twin_key)
    await create_twin(owner, device.twin, "glucose@1")
    await enrol_device(owner, device.key.did, device.twin, ("features/**",), "glucose@1")
    await owner.get(f"/twin-state/v1/twins/{device.twin}")  # waits for what was said so far
    return owner


def _key(signer: Ed25519Signer) -> ProofKey:
    return ProofKey(signer.sign(b"proof key")[:32])


async def killed(process: asyncio.subprocess.Process, devices: list[Device], origin: str, draw: random.Random) -> None:
    """Send from all devices until the process dies, at a time that nobody chose."""
    async with http_client() as http:
        senders = [asyncio.create_task(device.send(http, origin, draw)) for device in devices]
        await asyncio.wait(senders, timeout=draw.uniform(0.05, 1.2), return_when=asyncio.FIRST_EXCEPTION)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        ended = await asyncio.gather(*senders, return_exceptions=True)
    unforeseen = [error for error in ended if not isinstance(error, httpx.TransportError)]
    assert not unforeseen, unforeseen


async def settled(devices: list[Device], origin: str, http: httpx.AsyncClient) -> None:
    """Send what is pending, then wait until everything acknowledged is applied and stored."""
    for device in devices:
        while device.pending is not None:
            if await _post(http, origin, device.pending):
                device.acknowledged.append(device.pending)
                device.pending = None
        body = message_of(device.acknowledged[-1]).SerializeToString()
        seen, said = Seen(), {"content-type": MEDIA}
        seen.remember((await http.post(origin + PATH, content=body, headers=said)).json()["token"])
        owner = Client(origin, device.owner, http, seen, _key(device.owner))
        path = f"/twin-state/v1/twins/{device.twin}"
        span: dict[str, Any] = {"from": "0", "to": str(time.time_ns() // 1000)}
        counted = await owner.get(f"{path}/aggregate", property=GLUCOSE, step="P7D", fn="count", **span)
        assert sum(counted["v"]) == device.readings
        latest = await owner.get(f"{path}/reported/{GLUCOSE}")
        assert latest["observed_at_us"] == device.begin_us + (device.readings - 1) * PERIOD_US


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
    draw, ports = random.Random(20261128), (free_port(), free_port())
    origin = f"http://127.0.0.1:{ports[0]}"
    devices: list[Device] = []
    for number in range(kills):
        async with a_process(tmp_path, ports) as (process, org):
            if not number:
                async with http_client() as http:
                    devices = [Device(f"person {at}", org) for at in range(PEOPLE)]
                    for device in devices:
                        await enrol(device, origin, http)
            await killed(process, devices, origin, draw)
    async with a_process(tmp_path, ports), http_client() as http:
        await settled(devices, origin, http)
    assert sum(device.made for device in devices) > kills
    for device in devices:
        assert len(device.acknowledged) == device.made
        assert stored(tmp_path, device) == (device.readings, len(device.acknowledged))
