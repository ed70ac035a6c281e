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
from didymos_cli.up import program
from didymos_contracts.topics import CONSENT, IDENTITY, Topic
from didymos_did import Did, Grant, GrantId, TwinId, parse_grant
from didymos_kit.clock import to_us
from didymos_kit.eventlog import Record, envelope
from didymos_kit.house import House
from didymos_kit.lifecycle import Listen, running
from didymos_kit.tails import consent_changed
from didymos_testing.did import INSTITUTE, OWNER, RESEARCH, TWIN, a_grant_id, a_read_terms
from didymos_testing.house import World, a_house
from didymos_testing.identity import JSON, a_grant_credential, a_registration, a_revocation, a_window, said
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


async def _post(client: httpx.AsyncClient, path: str, body: object) -> dict[str, str]:
    """The header that lets others wait for what this did."""
    sent: dict[str, Any] = {"content": body, "headers": JSON} if isinstance(body, bytes) else {"json": body}
    answer = await client.post(path, **sent)
    if answer.status_code >= 300:
        raise RuntimeError(answer.text)
    return {"consistency-token": answer.headers["consistency-token"]}


async def a_twin(world: World) -> None:
    async with world.rest(OWNER, "identity") as owner, world.rest(OWNER, "twin-state") as states:
        registered = await _post(owner, "/v1/twins", a_registration())
        await world.house.wait(registered["consistency-token"])
        written = await _post(states, "/v1/twins", {"twin": TWIN.did, "profile": PROFILE})
        async with asyncio.timeout(LONGEST_SECONDS):
            while (await states.get(f"/v1/twins/{TWIN.did}", headers=written)).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # a worker begins


async def _stream_ends(reader: httpx.AsyncClient, opened: asyncio.Event) -> float:
    """When the stream of the twin ended, as a time of `perf_counter`."""
    async with reader.stream("GET", f"/v1/twins/{TWIN.did}/events", timeout=LONGEST_SECONDS) as answer:
        if answer.status_code != 200:
            raise RuntimeError(f"no stream: {answer.status_code}")
        opened.set()
        async for line in answer.aiter_lines():
            if line.startswith("event: end"):
                break
    return time.perf_counter()


async def _read_denied(reader: httpx.AsyncClient) -> float:
    while (await reader.get(f"/v1/twins/{TWIN.did}")).status_code != 404:  # noqa: ASYNC110 - a reader
        await asyncio.sleep(0.002)
    return time.perf_counter()


async def revocations(world: World, count: int) -> tuple[list[float], list[float]]:
    """Seconds until a read is denied, and until a stream ends."""
    reads, streams = [], []
    async with (
        world.rest(OWNER, "identity") as owner,
        world.rest(INSTITUTE, "twin-state", RESEARCH) as reader,
    ):
        for number in range(1, count + 1):
            now, opened = world.house.clock.now(), asyncio.Event()
            credential = a_grant_credential(now, number, terms=a_read_terms(window=a_window(now)))
            granted = await _post(owner, "/v1/grants", credential)
            answer = await reader.get(f"/v1/twins/{TWIN.did}", headers=granted)
            if answer.status_code != 200:
                raise RuntimeError(f"not granted: {answer.text}")
            async with asyncio.timeout(LONGEST_SECONDS), asyncio.TaskGroup() as group:
                stream = group.create_task(_stream_ends(reader, opened))
                await opened.wait()
                begun = time.perf_counter()
                revocation = said(a_revocation(credential, now))
                revoking = group.create_task(_post(owner, f"/v1/grants/{a_grant_id(number)}/revoke", revocation))
                denied = group.create_task(_read_denied(reader))
            revoking.result()
            reads.append(denied.result() - begun)
            streams.append(stream.result() - begun)
    return reads, streams


async def run(twins: int, count: int) -> dict[str, Any]:
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        async with a_world(Path(folder)) as world, http_client() as http:
            await a_twin(world)
            now = world.house.clock.now()
            pattern = parse_grant(a_grant_credential(now, 0, terms=a_read_terms(window=a_window(now))))
            begun = time.perf_counter()
            await many_twins(world.house, twins, pattern)
            known = time.perf_counter() - begun
            devices = []
            for shape in (SHAPES["D"], SHAPES["S"].narrowed(5)):
                device = LoadDevice(f"revoke {shape.name}", world.house.org, PROFILE, shape.twins)
                device.measured = measured(shape, device.ids, device.seed)
                devices.append(device)
            traffic = Traffic(world.house.origin, http, devices)
            async with under_load(traffic):
                begun = time.perf_counter()
                reads, streams = await revocations(world, count)
                taken = time.perf_counter() - begun
            counted = traffic.counted
    return {
        "twins under a grant": twins, "known after s": round(known, 2), "revocations": count,
        "readings/s meanwhile": round(counted.acknowledged / taken), "faults": len(counted.faults),
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
    asked = parser.parse_args()
    found = asyncio.run(run(asked.twins, asked.revocations))
    BUILD.joinpath("revoke.json").write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(f"{name:24}{value:>12,}" for name, value in found.items()))
    return int(found["read denied, p99 ms"] >= 1000 or found["stream ended, p99 ms"] >= 1000)


if __name__ == "__main__":
    sys.exit(main())
