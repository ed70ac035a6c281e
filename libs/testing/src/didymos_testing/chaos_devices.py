# ruff: noqa: S101 - test code
"""Devices that resend what was not acknowledged, and the oracle over what was: all there, each once."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import numpy as np
from didymos_cli.client import Client, Seen
from didymos_cli.device import MEDIA, PATH
from didymos_cli.owner import create_twin, enrol_device, register_twin
from didymos_did import Did, ProofKey, Signer, TwinId
from didymos_readings import Column, DeviceStream, Envelope
from didymos_readings.batch import message_of

from didymos_testing.did import a_signer

LEVEL: Final = "glucose/level"
PROFILE: Final = "glucose@1"
READINGS: Final = 20  # in a batch
PERIOD_US: Final = 300_000_000
BUSY: Final = (429, 503)
PAUSE_SECONDS: Final = 0.05


@dataclass
class Device:
    """One device of one twin: it stores what it signed, and sends the same bytes until they are acknowledged."""

    name: str
    org: Did
    made: int = 0
    pending: Envelope | None = None
    acknowledged: list[Envelope] = field(default_factory=list)
    repeated: int = 0

    def __post_init__(self) -> None:
        self.owner, self.twin_key, self.key = (a_signer(f"{self.name} {who}") for who in ("owner", "twin", "device"))
        self.twin = TwinId(self.twin_key.did)
        self.stream = DeviceStream(self.key, self.org, PROFILE)
        self.begin_us = time.time_ns() // 1000 - 200_000 * PERIOD_US

    @property
    def readings(self) -> int:
        return READINGS * len(self.acknowledged)

    def columns(self, begin: int, count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Times (us) and levels of `count` readings from number `begin`: what history must hold of them."""
        numbers = np.arange(begin, begin + count, dtype=np.int64)
        return self.begin_us + numbers * PERIOD_US, 80.0 + numbers * 7 % 160

    def next_batch(self) -> Envelope:
        times, levels = self.columns(self.made * READINGS, READINGS)
        self.made += 1
        column = Column(self.twin, LEVEL, "mg/dL", times, levels)
        return self.stream.batch([column], time.time_ns() // 1000, backfill=True)

    async def send(self, http: httpx.AsyncClient, origin: str, draw: random.Random) -> None:
        """One batch after the other, now and then one that was acknowledged before. Raises when the house is gone."""
        while True:
            if self.acknowledged and draw.random() < 0.2:
                self.repeated += await post(http, origin, draw.choice(self.acknowledged)) is not None
            await self.offer(http, origin)

    async def offer(self, http: httpx.AsyncClient, origin: str) -> None:
        """What waits for an acknowledgement, or else the next batch."""
        self.pending = self.pending or self.next_batch()
        if await post(http, origin, self.pending) is not None:
            self.acknowledged.append(self.pending)
            self.pending = None


async def post(http: httpx.AsyncClient, origin: str, envelope: Envelope) -> str | None:
    """The token of an acknowledgement, or None: the tails of a house that just began may not know the device yet."""
    body = message_of(envelope).SerializeToString()
    answer = await http.post(origin + PATH, content=body, headers={"content-type": MEDIA})
    if answer.status_code == 202:
        said = answer.json()
        assert said["accepted"] == READINGS, answer.text
        return str(said["token"])
    assert answer.status_code in BUSY, answer.text
    await asyncio.sleep(PAUSE_SECONDS)
    return None


def client_of(signer: Signer, origin: str, http: httpx.AsyncClient) -> Client:
    return Client(origin, signer, http, Seen(), ProofKey(signer.sign(b"proof key")[:32]))


async def enrol(device: Device, origin: str, http: httpx.AsyncClient) -> Client:
    """Its owner's client; twin and device are known everywhere afterwards."""
    owner = client_of(device.owner, origin, http)
    await register_twin(owner, device.twin_key)
    await create_twin(owner, device.twin, PROFILE)
    await enrol_device(owner, device.key.did, device.twin, ("features/**",), PROFILE)
    await owner.get(f"/twin-state/v1/twins/{device.twin}")  # waits for what was said so far
    return owner


async def settled(device: Device, origin: str, http: httpx.AsyncClient) -> Client:
    """Its owner's client, which has seen everything that the device had acknowledged; nothing is pending."""
    while device.pending is not None:
        await device.offer(http, origin)
    owner, token = client_of(device.owner, origin, http), None
    while token is None:
        token = await post(http, origin, device.acknowledged[-1])
    owner.seen.remember(token)
    return owner


async def assert_history_is_what_was_acknowledged(device: Device, owner: Client) -> None:
    """Every reading with its time and level, in order; and no other."""
    path = f"/twin-state/v1/twins/{device.twin}"
    times, levels = device.columns(0, device.readings)
    found: dict[str, list[float]] = {"t": [], "v": []}
    asked: dict[str, Any] = {"property": LEVEL, "limit": 50_000}
    while True:
        page = await owner.get(f"{path}/history", **asked)
        found["t"] += page["t"]
        found["v"] += page["v"]
        if page["next"] is None:
            break
        asked["cursor"] = page["next"]
    assert found["t"] == times.tolist(), (device.name, len(found["t"]), len(times))
    assert found["v"] == levels.tolist(), device.name
    span: dict[str, Any] = {"from": "0", "to": str(time.time_ns() // 1000)}
    counted = await owner.get(f"{path}/aggregate", property=LEVEL, step="P7D", fn="count", **span)
    assert sum(counted["v"]) == device.readings
    latest = await owner.get(f"{path}/reported/{LEVEL}")
    assert latest["observed_at_us"] == times[-1]
