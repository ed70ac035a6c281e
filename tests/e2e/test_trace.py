"""One reading can be followed from the request that brought it to the twin that it changed and to who looks at it
live: one trace id."""

import asyncio
import time
from pathlib import Path

import httpx
import numpy as np
from didymos_cli.client import Client, Seen, http_client
from didymos_cli.device import MEDIA, PATH
from didymos_cli.owner import create_twin, enrol_device, register_twin
from didymos_cli.up import running_house
from didymos_did import Did, ProofKey, TwinId
from didymos_kit.house import Where
from didymos_kit.keyring import KeyRing
from didymos_kit.telemetry import tracing
from didymos_readings import Column, DeviceStream
from didymos_readings.batch import message_of
from didymos_testing.did import a_signer
from didymos_testing.house import ROOT, free_port

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01"
THREAD = ("identity", "ingestion", "twin-state")
OWNER, TWIN, DEVICE = a_signer("owner"), TwinId(a_signer("twin").did), a_signer("device")


def one_reading(org: Did) -> bytes:
    now_us = time.time_ns() // 1000
    column = Column(TWIN, "glucose/level", "mg/dL", np.array([now_us - 1_000_000]), np.array([104.0]))
    return message_of(DeviceStream(DEVICE, org, "glucose@1").batch([column], now_us)).SerializeToString()


async def send_sampled(http: httpx.AsyncClient, origin: str, body: bytes, seen: Seen) -> None:
    headers = {"content-type": MEDIA, "consistency-token": seen.token(), "traceparent": SAMPLED}
    answer = await http.post(origin + PATH, content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    seen.remember(answer.headers["consistency-token"])


async def next_change(http: httpx.AsyncClient, owner: Client, opened: asyncio.Event) -> str:
    """The first change that the live stream of the twin brings."""
    path = f"/twin-state/v1/twins/{TWIN}/events"
    token = await owner.token("twin-state")
    proof = owner.proof("twin-state", "GET", path, token)
    headers = {"authorization": f"DPoP {token}", "dpop": proof, "consistency-token": owner.seen.token()}
    async with http.stream("GET", owner.origin + path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        opened.set()
        return await anext(line async for line in answer.aiter_lines() if "glucose/level" in line)


async def test_a_reading_is_one_trace_from_post_to_twin_and_stream(tmp_path: Path) -> None:
    where = Where(f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    with tracing.recorded() as spans:
        async with running_house(tmp_path, where, keys=KeyRing(ROOT), names=THREAD) as running, http_client() as http:
            owner = Client(where.origin, OWNER, http, Seen(), ProofKey(bytes(range(32))))
            await register_twin(owner, a_signer("twin"))
            await create_twin(owner, TWIN, "glucose@1")
            await enrol_device(owner, DEVICE.did, TWIN, ("features/**",), "glucose@1")
            opened = asyncio.Event()
            async with asyncio.timeout(60):
                watching = asyncio.create_task(next_change(http, owner, opened))
                await asyncio.wait([watching, asyncio.create_task(opened.wait())], return_when=asyncio.FIRST_COMPLETED)
                await send_sampled(http, where.origin, one_reading(running.house.org), owner.seen)
                twin = await owner.get(f"/twin-state/v1/twins/{TWIN}")
                assert "104" in await watching
    assert "glucose/level" in str(twin)
    ours = {span.name for span in spans.all() if f"{span.context.trace_id:032x}" == TRACE}
    linked = {
        span.name
        for span in spans.all()
        for link in span.links
        if f"{link.context.trace_id:032x}" == TRACE
    }  # fmt: skip
    assert {"POST /v1/batches", "ingestion.accept_batch", "twin.push"} <= ours
    assert linked | ours >= {"twin.apply_batch"}, (ours, linked)
