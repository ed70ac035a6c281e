"""Signed traffic into a house from outside, and the verdict of the oracle over it."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import numpy as np
from didymos_cli.client import Client
from didymos_cli.device import MEDIA, PATH

from tests.load.at_once import at_once
from tests.load.devices import STREAM, LoadDevice, Signed
from tests.load.oracle import Found, Held, Name, Oracle, Verdict, held
from tests.load.rows import rows_of

JUDGED: Final = 16  # properties that are asked for at once
ENROLLING: Final = 4  # devices, and twins of each
AGAIN_SECONDS: Final = 0.25
SETTLE_SECONDS: Final = 300.0
LATER: Final = (429, 503)
REPEATED: Final = 0.05  # of what was acknowledged is sent once more
PAGE: Final = 50_000
SPAN: Final = {"from": "0", "to": "4102444800000000", "step": "P364D"}


@dataclass
class Counted:
    """What devices were told. `faults`: answers that no device should get."""

    acknowledged: int = 0  # readings
    refused: int = 0
    batches: int = 0
    repeated: int = 0
    later: int = 0
    resets: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # from sending to the acknowledgement, of each batch


@dataclass
class Traffic:
    """`pace_s`: between the batches of a device. `store`: as for `rows_of`; without it history alone is asked."""

    origin: str
    http: httpx.AsyncClient
    devices: Sequence[LoadDevice]
    pace_s: float = 0.0
    store: str = ""
    owners: list[Client] = field(default_factory=list)
    counted: Counted = field(default_factory=Counted)
    oracle: Oracle = field(default_factory=Oracle)
    stopping: bool = False
    draw: random.Random = field(default_factory=lambda: random.Random(7))
    begun: float = 0.0

    async def enrol(self) -> None:
        self.owners = await at_once(self.devices, self._enrolled, ENROLLING)

    async def _enrolled(self, device: LoadDevice) -> Client:
        return await device.enrol(self.origin, self.http, ENROLLING)

    async def send_all(self, seconds: float | None = None) -> float:
        """From all devices until they have no more, `stopping` or the time is up; how many seconds it took."""
        self.begun = time.monotonic()
        ends = None if seconds is None else self.begun + seconds
        async with asyncio.TaskGroup() as group:
            for device in self.devices:
                group.create_task(self.send(device, ends))
        return time.monotonic() - self.begun

    async def send(self, device: LoadDevice, ends: float | None = None) -> None:
        while not self.stopping and (ends is None or time.monotonic() < ends):
            waiting = device.waiting()
            if waiting is None:
                return
            early = self.begun + waiting.measured.due_s - time.monotonic()
            if early > 0 and waiting.measured.due_s:
                await asyncio.sleep(min(early, 1.0))  # and look again whether to stop
                continue
            await self.offer(device)
            if device.last is not None and self.draw.random() < REPEATED:
                await self.repeat(device, device.last)
            if self.pace_s:
                await asyncio.sleep(self.pace_s)

    async def offer(self, device: LoadDevice) -> None:
        """One try of the batch that waits, or of the next one."""
        waiting = device.waiting()
        if waiting is None:
            return
        begun = time.perf_counter()
        answer = await self._posted(waiting.body)
        if answer is None:
            return
        self.counted.seconds.append(time.perf_counter() - begun)
        said = answer.json()
        refused = [(each["index"], each["count"]) for each in said["refused"]]
        order = (STREAM, waiting.number)
        taken = self.oracle.acknowledge(device.key.did, order, waiting.measured.columns, refused)
        if taken != said["accepted"]:
            self.counted.faults.append(f"{said['accepted']} of {taken} accepted")
        self.counted.acknowledged += taken
        self.counted.refused += sum(count for _, count in refused)
        self.counted.batches += 1
        device.pending, device.last = None, waiting
        device.seen.remember(said["token"])

    async def repeat(self, device: LoadDevice, again: Signed) -> None:
        """An answer tells where the repeat is in the log: the owner waits for it as well."""
        answer = await self._posted(again.body)
        if answer is not None:
            self.counted.repeated += 1
            device.seen.remember(answer.json()["token"])

    async def _posted(self, body: bytes) -> httpx.Response | None:
        """The acknowledgement; None if none came, after a moment."""
        try:
            answer = await self.http.post(self.origin + PATH, content=body, headers={"content-type": MEDIA})
        except httpx.TransportError:
            self.counted.resets += 1
        else:
            if answer.status_code == 202:
                return answer
            if answer.status_code in LATER and "retry-after" in answer.headers:
                self.counted.later += 1
            else:
                self.counted.faults.append(f"{answer.status_code}: {answer.text[:300]}")
        await asyncio.sleep(AGAIN_SECONDS)
        return None

    async def verdict(self) -> Verdict:
        """Once all that was sent is acknowledged, and has been applied."""
        async with asyncio.timeout(SETTLE_SECONDS):
            for device in self.devices:
                while device.pending is not None:
                    await self.offer(device)
        owner_of = {
            str(twin): owner for device, owner in zip(self.devices, self.owners, strict=True) for twin in device.ids
        }

        async def judged(name: Name) -> Verdict:
            said = await found(owner_of[name[0]], name, self.oracle.units[name])
            return self.oracle.judge(name, said)

        verdict = Verdict()
        for each in await at_once(sorted(self.oracle.said), judged, JUDGED):
            verdict += each
        if self.store:
            verdict += self.oracle.judge_rows(await rows_of(self.store, self.oracle.parcels))
        return verdict


async def found(owner: Client, name: Name, unit: str) -> Found:
    """All that the house says of a property, in `unit`: as it was sent."""
    twin, name_of = name
    path, asked = f"/twin-state/v1/twins/{twin}", {"property": name_of, "unit": unit}
    steps: dict[str, Any] = {**asked, **SPAN}
    pages: list[Held] = []
    more: dict[str, Any] = {**asked, "limit": PAGE}
    while True:
        page: dict[str, Any] = await owner.get(f"{path}/history", **more)
        pages.append(held(page))
        if page["next"] is None:
            break
        more["cursor"] = page["next"]
    history = Held(np.concatenate([each.t_us for each in pages]), np.concatenate([each.values for each in pages]))
    count = await owner.get(f"{path}/aggregate", fn="count", **steps)
    total = await owner.get(f"{path}/aggregate", fn="sum", **steps)
    latest = await owner.get(f"{path}/reported/{name_of}")
    value = latest["value"] if latest["unit"] == unit else None  # the twin holds the unit of its profile
    return Found(history, sum(count["v"]), sum(total["v"]), (latest["observed_at_us"], value))


@asynccontextmanager
async def under_load(traffic: Traffic) -> AsyncIterator[Traffic]:
    """Devices send from here until the end of the block; what failed in one of them is raised there."""
    await traffic.enrol()
    sending = asyncio.create_task(traffic.send_all())
    try:
        yield traffic
    finally:
        traffic.stopping = True
        await sending
