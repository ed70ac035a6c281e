"""Twin-state as a running service, fed with sealed readings on the real topic without an ingestion service."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from os import urandom
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsAccepted
from didymos_contracts.topics import READINGS
from didymos_did import DataKey, Did, Ed25519Signer, Grant, GrantId, Purpose, Terms, TwinId, epoch_of
from didymos_kit.eventlog import Record, envelope
from didymos_kit.eventlog.partition import partition_of
from didymos_kit.house import House
from didymos_kit.service import Service
from didymos_readings import (
    Column,
    DeviceStream,
    Envelope,
    Op,
    Refusal,
    built_in_profiles,
    normalise,
    parcel_contents,
    seal_parcel,
    verify_batch,
)
from didymos_twin_state.bootstrap import bootstrap
from didymos_twin_state.settings import TwinStateSettings

from didymos_testing.did import a_signer
from didymos_testing.house import World, a_house, served

PATIENCE_SECONDS: Final = 30.0
GLUCOSE = "glucose/level"
PROFILE = "glucose@1"


def sealed_parcels(
    sent: Envelope, device: Ed25519Signer, audience: Did, received_at_us: int, profile: str = PROFILE
) -> ReadingsAccepted:
    """What ingestion would append for this batch, under the keys that the identity box gives."""
    batch = verify_batch(sent, device.public, audience)
    if isinstance(batch, Refusal):
        raise TypeError(batch)
    normalised, refused = normalise(batch, built_in_profiles()[profile], received_at_us, lambda _twin, _name: None)
    if refused:
        raise ValueError(refused)
    said, epoch = ReadingsAccepted(version=1, received_at_us=received_at_us), epoch_of(received_at_us)
    for content in parcel_contents(normalised):
        twin = TwinId(Did(content.twin))
        key = DataKey(twin, epoch, sha256(f"{twin}|{epoch}".encode()).digest())
        salt = urandom(16)
        said.parcels.append(
            seal_parcel(normalised, content, epoch, salt, lambda body, k=key, s=salt: k.seal(body, s, "*"))  # type: ignore[misc]
        )
    return said


@dataclass
class TwinWorld:
    """A running twin-state with one twin, its owner and its device."""

    world: World
    name: str = "twin"
    profile: str = PROFILE
    stream: DeviceStream = field(init=False)

    def __post_init__(self) -> None:
        self.owner, self.twin_key, self.device = (a_signer(f"{self.name} {who}") for who in ("owner", "self", "device"))
        self.twin = TwinId(self.twin_key.did)
        self.stream = DeviceStream(self.device, self.world.house.org, self.profile)

    @property
    def house(self) -> House:
        return self.world.house

    @property
    def part(self) -> int:
        return partition_of(self.twin.encode(), 64)

    async def create(self) -> str:
        """Registered and created; the token of its creation."""
        token = await self.world.identity.register(self.twin, self.owner.did)
        async with self.rest(self.owner) as client:
            made = await client.post(
                "/v1/twins", json={"twin": self.twin, "profile": self.profile}, headers={"consistency-token": token}
            )
            if made.status_code not in (201, 202):
                raise AssertionError(made.text)
            token = str(made.json()["token"])
            if made.status_code == 202:  # in the log: a busy machine applies it later than the service waits
                async with asyncio.timeout(PATIENCE_SECONDS):
                    seen = {"consistency-token": token}
                    while (await client.get(f"/v1/twins/{self.twin}", headers=seen)).is_error:  # noqa: ASYNC110 - REST
                        await asyncio.sleep(0.1)
        return token

    def rest(self, signer: Ed25519Signer, purpose: Purpose | str = "") -> httpx.AsyncClient:
        client = self.world.rest(signer, "twin-state", purpose)
        client.timeout = httpx.Timeout(40)
        return client

    def batch(self, values: Sequence[float], times_us: Sequence[int], op: Op = Op.READING) -> Envelope:
        column = np.array([] if op is Op.RETRACTION else values, np.float64)
        return self.stream.batch(
            [Column(self.twin, GLUCOSE, "mg/dL", np.array(times_us, np.int64), column, op)],
            self.house.clock.now_us(), backfill=True,
        )  # fmt: skip

    async def append(self, *sent: Envelope) -> str:
        """The batches into the log, a record each; the consistency token of the last."""
        now_us = self.house.clock.now_us()
        records = []
        for each in sent:
            said = sealed_parcels(each, self.device, self.house.org, now_us, self.profile)
            headers = envelope.build(
                envelope.Envelope(
                    each.digest.hex(), "didymos://test/ingestion", said.DESCRIPTOR.full_name, self.house.clock.now()
                )
            )
            value = said.SerializeToString()
            records.append(Record(READINGS.name, self.twin.encode(), value, headers, now_us // 1000))
        async with self.house.event_log.writer("test.ingestion") as writer:
            positions = await writer.append(records)
        return str(positions[-1])

    async def report(self, name: str, unit: str, times_us: Sequence[int], values: Any) -> str:  # noqa: ANN401 - of any kind
        """One batch of any property; its consistency token."""
        column = Column(self.twin, name, unit, np.array(times_us, np.int64), values)
        return await self.append(self.stream.batch([column], self.house.clock.now_us(), backfill=True))

    async def send(self, values: Sequence[float], times_us: Sequence[int], op: Op = Op.READING) -> str:
        """One batch of readings; its consistency token."""
        return await self.append(self.batch(values, times_us, op))

    async def grant(self, grantee: Ed25519Signer, terms: Terms, number: int = 1) -> tuple[Grant, str]:
        """A grant in force, and its consistency token."""
        grant = Grant(
            GrantId(f"urn:uuid:01930000-0000-7000-8000-{number:012x}"), self.twin, self.owner.did, grantee.did, terms,
            b"\x12\x20" + b"d" * 32,
        )  # fmt: skip
        return grant, await self.world.identity.grant(grant)


@asynccontextmanager
async def twin_world(folder: Path, *others: Service, **settings: Any) -> AsyncIterator[TwinWorld]:  # noqa: ANN401 - of twin-state
    """Twin-state on an embedded house in `folder`. Again on the same folder: that is a restart.

    It waits longer than in production: tests share their machine.
    """
    settings = {"wait_seconds": 30, **settings}
    async with (
        a_house(folder) as house,
        bootstrap(TwinStateSettings(**settings), house) as service,
        served(house, service, *others) as world,
    ):
        yield TwinWorld(world)
