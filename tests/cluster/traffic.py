"""Signed readings from outside, as fast as they are acknowledged, and the oracle over them: all there, each once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from didymos_cli.client import Client
from didymos_cli.device import MEDIA, PATH
from didymos_did import Did
from didymos_readings.batch import message_of
from didymos_testing.chaos_devices import LEVEL, READINGS, Device, enrol

PACE_SECONDS: Final = 0.1  # between the batches of a device
AGAIN_SECONDS: Final = 0.25
SETTLE_SECONDS: Final = 180.0
LATER: Final = (429, 503)


@dataclass
class Counted:
    """What devices were told. `faults`: answers that no device should get."""

    acknowledged: int = 0
    later: int = 0
    resets: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Acknowledged readings that the history lacks, and readings that it has more than once."""

    lost: int
    twice: int


@dataclass
class Traffic:
    """Devices of one step of a test."""

    origin: str
    http: httpx.AsyncClient
    devices: Sequence[Device]
    owners: list[Client] = field(default_factory=list)
    counted: Counted = field(default_factory=Counted)
    stopping: bool = False

    async def enrol(self) -> None:
        self.owners = [await enrol(device, self.origin, self.http) for device in self.devices]

    async def send(self, device: Device) -> None:
        while not self.stopping:
            await self.offer(device)
            await asyncio.sleep(PACE_SECONDS)

    async def offer(self, device: Device) -> None:
        """One try of the batch that waits, or of the next one."""
        device.pending = device.pending or device.next_batch()
        body = message_of(device.pending).SerializeToString()
        try:
            answer = await self.http.post(self.origin + PATH, content=body, headers={"content-type": MEDIA})
        except httpx.TransportError:
            self.counted.resets += 1
            await asyncio.sleep(AGAIN_SECONDS)
            return
        if answer.status_code == 202:
            self.counted.acknowledged += READINGS
            device.acknowledged.append(device.pending)
            device.pending = None
            self.owners[self.devices.index(device)].seen.remember(answer.json()["token"])
        elif answer.status_code in LATER and "retry-after" in answer.headers:
            self.counted.later += 1
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            self.counted.faults.append(f"{answer.status_code}: {answer.text[:300]}")
            await asyncio.sleep(AGAIN_SECONDS)

    async def verdict(self) -> Verdict:
        """Once all that was sent is acknowledged, and has been applied."""
        async with asyncio.timeout(SETTLE_SECONDS):
            for device in self.devices:
                while device.pending is not None:
                    await self.offer(device)
        found = [await self._compared(device, owner) for device, owner in zip(self.devices, self.owners, strict=True)]
        return Verdict(sum(each.lost for each in found), sum(each.twice for each in found))

    async def _compared(self, device: Device, owner: Client) -> Verdict:
        """The owner has the tokens of what the device was acknowledged: history waits for it."""
        times, _ = device.columns(0, device.readings)
        path = f"/twin-state/v1/twins/{device.twin}"
        held: list[int] = []
        asked: dict[str, Any] = {"property": LEVEL, "limit": 50_000}
        while True:
            page = await owner.get(f"{path}/history", **asked)
            held += page["t"]
            if page["next"] is None:
                break
            asked["cursor"] = page["next"]
        lost = set(times.tolist()) - set(held)
        return Verdict(len(lost), len(held) - len(set(held)))


@asynccontextmanager
async def under_load(origin: str, http: httpx.AsyncClient, org: Did, name: str, count: int) -> AsyncIterator[Traffic]:
    """Devices send from here until the end of the block; what failed in one of them is raised there."""
    traffic = Traffic(origin, http, [Device(f"{name} {number}", org) for number in range(count)])
    await traffic.enrol()
    sending = [asyncio.create_task(traffic.send(device)) for device in traffic.devices]
    try:
        yield traffic
    finally:
        traffic.stopping = True
        await asyncio.gather(*sending)
