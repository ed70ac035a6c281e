"""Devices under load: each stores what it signed, and sends the same bytes until they are acknowledged."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
from didymos_cli.client import Client, Seen
from didymos_cli.owner import create_twin, enrol_device, register_twin
from didymos_did import Did, Ed25519Signer, ProofKey, TwinId
from didymos_readings import DeviceStream
from didymos_readings.batch import message_of
from didymos_testing.did import a_signer

from tests.load.at_once import at_once
from tests.load.shapes import Measured

STREAM = 1


@dataclass(frozen=True, slots=True)
class Signed:
    """The bytes of one batch, and what they say."""

    number: int
    measured: Measured
    body: bytes


@dataclass
class LoadDevice:
    """One device, and the twins it speaks for: all of one owner. `seed` makes its keys: the same are the same twins."""

    seed: str
    org: Did
    profile: str
    twins: int
    measured: Iterator[Measured] = field(default_factory=lambda: iter(()))
    pending: Signed | None = None
    last: Signed | None = None  # acknowledged: a repeat of it changes nothing
    ended: bool = False
    seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        self.owner, self.key = (a_signer(f"{self.seed} {who}") for who in ("owner", "device"))
        self.twin_keys = [a_signer(f"{self.seed} twin {number}") for number in range(self.twins)]
        self.ids = [TwinId(key.did) for key in self.twin_keys]
        self.stream = DeviceStream(self.key, self.org, self.profile, stream=STREAM)

    def client(self, origin: str, http: httpx.AsyncClient) -> Client:
        """Of its owner, who has seen what the device was told."""
        return Client(origin, self.owner, http, self.seen, ProofKey(self.owner.sign(b"proof key")[:32]))

    async def enrol(self, origin: str, http: httpx.AsyncClient, limit: int = 1) -> Client:
        """Twins, at most `limit` of them at a time, and device are known everywhere afterwards."""
        owner = self.client(origin, http)

        async def one(named: tuple[Ed25519Signer, TwinId]) -> None:
            key, twin = named
            await register_twin(owner, key)
            await create_twin(owner, twin, self.profile)
            await enrol_device(owner, self.key.did, twin, ("features/**",), self.profile)

        first, *others = zip(self.twin_keys, self.ids, strict=True)
        await one(first)  # it brings the token that the others are asked with
        await at_once(others, one, limit)
        for twin in self.ids[-limit:]:
            await owner.get(f"/twin-state/v1/twins/{twin}")  # waits for what was said so far
        return owner

    def waiting(self) -> Signed | None:
        """What is not acknowledged yet, or else the next batch; None when there is no more."""
        if self.pending is None and not self.ended:
            found = next(self.measured, None)
            if found is None:
                self.ended = True
                return None
            number = self.stream.number
            envelope = self.stream.batch(found.columns, time.time_ns() // 1000, backfill=True)
            self.pending = Signed(number, found, message_of(envelope).SerializeToString())
        return self.pending
