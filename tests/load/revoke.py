"""`python -m tests.load.revoke --twins 10000`: from an owner's revocation to the denial of reads and of open streams.

A house in this process, with the real services of identity, ingestion and twin-state. Its reader holds a grant over
each of so many twins; while devices send, one grant after the other is revoked over REST, with its owner's signature.
Timed is, from just before the owner's call, the first read that is denied, and the end of a stream that was open.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from didymos.identity.v1.identity_events_pb2 import TwinRegistered
from didymos_cli.client import http_client
from didymos_cli.owner import give_grant, revoke_grant, window
from didymos_cli.up import program
from didymos_contracts.topics import CONSENT, IDENTITY, Topic
from didymos_did import Action, Budget, Did, Grant, GrantId, TwinId, make_terms, parse_grant
from didymos_kit.clock import to_us
from didymos_kit.eventlog import Record, envelope
from didymos_kit.house import House
from didymos_kit.lifecycle import Listen, running
from didymos_kit.tails import consent_changed
from didymos_testing.did import INSTITUTE, OWNER, RESEARCH, a_read_terms
from didymos_testing.house import World, a_house
from didymos_testing.identity import a_grant_credential, a_window
from google.protobuf.message import Message

from tests.load.devices import LoadDevice
from tests.load.shapes import PROFILE, SHAPES, measured
from tests.load.traffic import Traffic, under_load

SERVICES: Final = ("identity", "ingestion", "twin-state")
APPEND: Final = 500  # records at once
LONGEST_SECONDS: Final = 30.0
BUILD: Final = Path(__file__).resolve().parents[2] / "build"


@asynccontextmanager
async def a_world(folder: Path) -> AsyncIterator[World]:
    async with a_house(folder) as house, program(house, names=SERVICES) as made, AsyncExitStack() as stack:
        rest, rpc = (int(address.rpartition(":")[2]) for address in (house.origin, house.where.rpc))
        process = await stack.enter_async_context(running(made, Listen(rest=rest, grpc=rpc, admin=0)))
        yield World(house, process, None, stack)


def _record(house: House, topic: Topic, key: str, event: Message, route: str | None) -> Record:
    now = house.clock.now()
    about = envelope.Envelope(str(house.ids.uuid7()), "didymos://load/identity", event.DESCRIPTOR.full_name, now)
    value, routed = event.SerializeToString(deterministic=True), None if route is None else route.encode()
    return Record(topic, key.encode(), value, envelope.build(about), to_us(now) // 1000, routed)


async def many_twins(house: House, count: int, pattern: Grant) -> None:
    """Twins of the owner and a grant over each, as identity would say them; until this house knows all."""
    async with house.event_log.writer("load.identity") as writer:
        last: dict[str, int] = {}
        for first in range(0, count, APPEND):
            records = []
            for number in range(first, min(count, first + APPEND)):
                twin = TwinId(Did(f"did:key:z6MkLoad{number}"))
                grant = replace(pattern, id=GrantId(house.ids.uuid7().urn), twin=twin)
                event = TwinRegistered(twin=twin, owner=OWNER.did, revision=1)
                records.append(_record(house, IDENTITY.name, f"twin|{twin}", event, None))
                changed = consent_changed(grant, house.clock.now())
                records.append(_record(house, CONSENT.name, f"{twin}|{grant.id}", changed, twin))
            for position in await writer.append(records):
                prefix = "i" if position.topic == IDENTITY.name else "c"
                part, _, offset = f"{prefix}{position}".partition(":")
                last[part] = max(int(offset), last.get(part, 0))
    await house.wait(",".join(f"{part}:{offset}" for part, offset in last.items()))


def a_device(world: World, seed: str) -> LoadDevice:
    """Of shape D: what it sends is what readers are granted."""
    device = LoadDevice(seed, world.house.org, PROFILE, 1)
    device.measured = measured(SHAPES["D"], device.ids, seed)
    return device


async def _stream_ends(reader: httpx.AsyncClient, twin: TwinId, opened: asyncio.Event) -> float:
    """When the stream of the twin ended, as a time of `perf_counter`."""
    async with reader.stream("GET", f"/v1/twins/{twin}/events", timeout=LONGEST_SECONDS) as answer:
        if answer.status_code != 200:
            raise RuntimeError(f"no stream: {answer.status_code}")
        opened.set()
        async for line in answer.aiter_lines():
            if line.startswith("event: end"):
                break
    return time.perf_counter()


async def _read_denied(reader: httpx.AsyncClient, twin: TwinId) -> float:
    while (await reader.get(f"/v1/twins/{twin}")).status_code != 404:  # noqa: ASYNC110 - a reader
        await asyncio.sleep(0.002)
    return time.perf_counter()


async def revocations(world: World, traffic: Traffic, count: int) -> tuple[list[float], list[float]]:
    """Seconds until a read is denied, and until a stream ends, of the twin of the first device."""
    reads, streams = [], []
    owner, (twin, *_) = traffic.owners[0], traffic.devices[0].ids
    actions, budget = (Action.READ, Action.SUBSCRIBE), Budget(reads=100_000)
    async with world.rest(INSTITUTE, "twin-state", RESEARCH) as reader:
        for _ in range(count):
            terms = make_terms(actions, ["features/**"], [RESEARCH], window(), budget=budget)
            given = await give_grant(owner, world.house.ids.uuid7(), INSTITUTE.did, twin, terms)
            async with asyncio.timeout(LONGEST_SECONDS):
                while (await reader.get(f"/v1/twins/{twin}")).status_code != 200:  # noqa: ASYNC110 - a reader
                    await asyncio.sleep(0.01)
            opened = asyncio.Event()
            async with asyncio.timeout(LONGEST_SECONDS), asyncio.TaskGroup() as group:
                stream = group.create_task(_stream_ends(reader, twin, opened))
                await opened.wait()
                begun = time.perf_counter()
                group.create_task(revoke_grant(owner, given))
                denied = group.create_task(_read_denied(reader, twin))
            reads.append(denied.result() - begun)
            streams.append(stream.result() - begun)
    return reads, streams


async def first_read(traffic: Traffic) -> None:
    """Until the first reading of the first device is on its twin."""
    async with asyncio.timeout(LONGEST_SECONDS):
        while traffic.devices[0].last is None:  # noqa: ASYNC110 - a device tells nobody
            await asyncio.sleep(0.01)
    await traffic.owners[0].get(f"/twin-state/v1/twins/{traffic.devices[0].ids[0]}")


async def run(twins: int, count: int, pace_s: float) -> dict[str, Any]:
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        async with a_world(Path(folder)) as world, http_client() as http:
            now = world.house.clock.now()
            pattern = parse_grant(a_grant_credential(now, 0, terms=a_read_terms(window=a_window(now))))
            begun = time.perf_counter()
            await many_twins(world.house, twins, pattern)
            known = time.perf_counter() - begun
            devices = [a_device(world, f"revoke {number}") for number in range(2)]
            traffic = Traffic(world.house.origin, http, devices, pace_s)
            async with under_load(traffic):
                await first_read(traffic)
                before = traffic.counted.acknowledged
                begun, cpu = time.perf_counter(), time.process_time()
                reads, streams = await revocations(world, traffic, count)
                taken, sent = time.perf_counter() - begun, traffic.counted.acknowledged - before
                share = (time.process_time() - cpu) / taken
            faults = len(traffic.counted.faults)
    return {
        "twins under a grant": twins, "known after s": round(known, 2), "revocations": count,
        "readings/s meanwhile": round(sent / taken), "faults": faults, "cores it got": round(share, 2),
        **_spread("read denied", reads), **_spread("stream ended", streams), "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def _spread(what: str, seconds: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(np.array(seconds) * 1000, (50, 99))
    return {f"{what}, p50 ms": round(float(p50), 1), f"{what}, p99 ms": round(float(p99), 1),
            f"{what}, max ms": round(max(seconds) * 1000, 1)}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.revoke")
    parser.add_argument("--twins", type=int, default=10_000)
    parser.add_argument("--revocations", type=int, default=100)
    parser.add_argument("--pace", type=float, default=0.0, metavar="S", help="between the batches of a device")
    asked = parser.parse_args()
    found = asyncio.run(run(asked.twins, asked.revocations, asked.pace))
    BUILD.joinpath("revoke.json").write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(f"{name:24}{value:>12,}" for name, value in found.items()))
    return int(found["read denied, p99 ms"] >= 1000 or found["stream ended, p99 ms"] >= 1000)


if __name__ == "__main__":
    sys.exit(main())
