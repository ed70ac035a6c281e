"""The whole service on loopback: real log, real database, real surfaces."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsAccepted
from didymos.ingestion.v1.ingestion_service_pb2 import Ack
from didymos.ingestion.v1.ingestion_service_pb2_grpc import IngestStub
from didymos.ingestion.v1.ingestion_types_pb2 import SignedBatch
from didymos.twin.v1.twin_events_pb2 import TwinLifecycleChanged
from didymos.twin.v1.twin_types_pb2 import Lifecycle
from didymos_contracts.topics import READINGS, TWIN_LIFECYCLE
from didymos_ingestion.bootstrap import bootstrap
from didymos_ingestion.settings import IngestionSettings
from didymos_kit.eventlog import Record, Stored, envelope
from didymos_kit.telemetry import tracing
from didymos_readings import DeviceStream, Envelope, encode_batch, encode_batch_json, message_of
from didymos_testing.did import OWNER, RESEARCH, STRANGER
from didymos_testing.house import World, a_house, served
from didymos_testing.ingestion import DEVICE, TWIN, an_enrolment_credential, opened
from didymos_testing.kit import problem_codes
from didymos_testing.readings import a_column

MEDIA = "application/vnd.didymos.batch"
LEVEL = {"n": "glucose/level", "u": "kg/m3", "v": 1.02, "t": 0}


@asynccontextmanager
async def a_world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(a_house(folder))
        service = await stack.enter_async_context(bootstrap(IngestionSettings(**settings), house))
        yield await stack.enter_async_context(served(house, service))


async def enrolled(world: World) -> str:
    """The consistency token of the enrolment."""
    await world.identity.register(TWIN, OWNER.did)
    now = world.house.clock.now_us()
    return await world.identity.enrol(
        an_enrolment_credential(DEVICE.did, TWIN, OWNER.did, now, aliases=("Patient/17",))
    )


def now_us() -> int:
    return time.time_ns() // 1000


def a_batch(world: World, values: Sequence[float] = (100.0, 101.0, 102.0), number: int = 1) -> Envelope:
    stream = DeviceStream(DEVICE, world.house.org, "glucose@1", number=number)
    return stream.batch([a_column(np.array(values), twin=TWIN, last_us=now_us())], now_us())


async def post(client: httpx.AsyncClient, batch: Envelope, token: str = "", **headers: str) -> httpx.Response:
    said = {"content-type": MEDIA, "consistency-token": token, **headers}
    return await client.post("/v1/batches", content=encode_batch(batch), headers=said)


async def stored(world: World) -> list[Stored]:
    found: list[Stored] = []
    async with world.house.event_log.tail(READINGS.name, found.append) as tail:
        await tail.ready()
    return found


async def accepted(world: World) -> list[ReadingsAccepted]:
    return [ReadingsAccepted.FromString(each.value or b"") for each in await stored(world)]


async def lived(world: World, lifecycle: Lifecycle.ValueType, revision: int) -> None:
    event = TwinLifecycleChanged(twin=TWIN, lifecycle=lifecycle, revision=revision)
    said = envelope.Envelope(f"l{revision}", "didymos://test", event.DESCRIPTOR.full_name, world.house.clock.now())
    record = Record(TWIN_LIFECYCLE.name, TWIN.encode(), event.SerializeToString(), envelope.build(said), 1)
    async with world.house.event_log.writer("twin-state") as writer:
        await writer.append([record])


async def test_enrol_then_send_needs_no_sleep(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        token = await enrolled(world)
        batch = a_batch(world)
        sent = await post(client, batch, token)
        assert (sent.status_code, sent.json()["accepted"], sent.json()["refused"]) == (202, 3, [])
        assert sent.json()["batch"] == batch.digest.hex()
        assert sent.headers["consistency-token"] == sent.json()["token"]
        (event,) = await accepted(world)
        assert opened(event.parcels[0]).columns[0].value.tolist() == [100, 101, 102]


async def test_the_json_mirror_is_the_same_batch(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        token, batch = await enrolled(world), a_batch(world)
        headers = {"content-type": MEDIA + "+json", "consistency-token": token}
        sent = await client.post("/v1/batches", content=encode_batch_json(batch), headers=headers)
        assert (sent.status_code, sent.json()["batch"]) == (202, batch.digest.hex())


async def test_senml_comes_in_by_a_token_of_the_device(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(DEVICE, "ingestion") as device:
        token = await enrolled(world)
        pack = [{"bn": "Patient/17/", **LEVEL}, {"n": "x", "v": 1}]
        headers = {
            "content-type": "application/senml+json", "consistency-token": token, "didymos-stream": "1",
            "didymos-number": "7",
        }  # fmt: skip
        sent = await device.post("/v1/batches", json=pack, headers=headers)
        assert sent.status_code == 202, sent.text
        assert [(each["index"], each["code"]) for each in sent.json()["refused"]] == [(1, "reading.not_enrolled")]
        (event,) = await accepted(world)
        parcel = event.parcels[0]
        assert (parcel.device, parcel.number, int(parcel.assurance)) == (DEVICE.did, 7, 3)
        bad = await device.post("/v1/batches", json=pack, headers={**headers, "didymos-number": "-1"})
        async with world.rest(None, "ingestion") as nobody, world.rest(STRANGER, "ingestion") as stranger:
            unproved = await nobody.post("/v1/batches", json=pack, headers=headers)
            foreign = await stranger.post("/v1/batches", json=pack, headers=headers)
        assert problem_codes([bad, unproved, foreign]) == [
            (422, "platform.invalid_field"),
            (401, "platform.unauthenticated"),
            (403, "batch.device_unknown"),
        ]


async def test_what_is_no_batch_is_a_problem_of_its_sender(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        token = await enrolled(world)
        answers = [
            await client.post("/v1/batches", content=b"a,b", headers={"content-type": "text/html"}),
            await client.post("/v1/batches", content=b"\xff", headers={"content-type": MEDIA}),
            await client.post("/v1/batches", content=bytes(1 << 21), headers={"content-type": MEDIA}),
            await client.post("/v1/batches", content=bytes(1_200_000), headers={"content-type": MEDIA}),
            await post(client, a_batch(world), "nonsense"),
            await post(client, a_batch(world, [5e6]), token),
        ]
        assert problem_codes(answers) == [
            (415, "batch.media_unsupported"),
            (400, "batch.malformed"),
            (413, "batch.too_large"),
            (413, "batch.too_large"),
            (400, "platform.malformed"),
            (422, "reading.out_of_bounds"),
        ]
        assert [each["code"] for each in answers[-1].json()["refused"]] == ["reading.out_of_bounds"]


async def test_a_body_that_breaks_off_is_nobodys_mistake(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        host, port = world.house.origin.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /ingestion/v1/batches HTTP/1.1\r\nhost: x\r\ncontent-type: {MEDIA}\r\ncontent-length: 99\r\n\r\nabc"
        )
        writer.write(head.encode())
        await writer.drain()
        writer.close()
        sample = world.house.metrics.sample
        for _ in range(500):
            counted = [
                sample("didymos_http_requests_total", service="ingestion", status=kind) for kind in ("4xx", "5xx")
            ]
            if any(counted):
                break
            await asyncio.sleep(0.02)
        assert counted == [1, 0]


async def test_a_full_pipe_is_told_before_the_body_is_read(tmp_path: Path) -> None:
    async with a_world(tmp_path, shed_bytes=10) as world, world.rest(None, "ingestion") as client:
        answer = await post(client, a_batch(world), await enrolled(world))
        assert problem_codes([answer]) == [(429, "platform.overloaded")]
        assert answer.headers["retry-after"] == "30"
        metrics = world.house.metrics
        assert metrics.sample("didymos_ingestion_in_flight_bytes") == 0


async def test_a_suspended_twin_is_known_from_the_tail(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        token = await enrolled(world)
        await lived(world, Lifecycle.LIFECYCLE_SUSPENDED, 1)
        for _ in range(500):
            answer = await post(client, a_batch(world), token)
            if answer.status_code != 202:
                break
        assert problem_codes([answer]) == [(409, "twin.suspended")]


async def test_one_trace_leads_from_the_post_into_the_log(tmp_path: Path) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        token = await enrolled(world)
        with tracing.recorded() as spans:
            await post(client, a_batch(world), token, traceparent=f"00-{trace}-b7ad6b7169203331-01")
        assert len(spans.named("ingestion.accept_batch")) == 1
        (record,) = await stored(world)
        assert record.headers["traceparent"].decode().split("-")[1] == trace


async def test_batches_and_readings_are_counted(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        await post(client, a_batch(world, [100, np.nan]), await enrolled(world))
        await client.post("/v1/batches", content=b"\xff", headers={"content-type": MEDIA})
        sample = world.house.metrics.sample
        assert sample("didymos_ingestion_batches_total", outcome="accepted", format="protobuf") == 1
        assert sample("didymos_ingestion_batches_total", outcome="refused", format="protobuf") == 1
        assert sample("didymos_ingestion_readings_total", outcome="accepted") == 1
        assert sample("didymos_ingestion_readings_total", outcome="refused") == 1


async def test_a_stream_acknowledges_in_order(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.peer(None, "ingestion") as peer:
        await world.house.wait(await enrolled(world))
        sent = [a_batch(world, [float(number)], number) for number in range(20, 120)]

        async def batches() -> AsyncIterator[SignedBatch]:
            for batch in sent:
                yield message_of(batch)
            yield message_of(a_batch(world, [5e6, 6e6], 200))
            yield SignedBatch(header=b"nonsense", blocks=[b""])

        acks: list[Ack] = [ack async for ack in IngestStub(peer.channel).Stream(batches())]
        *taken, refused, malformed = acks
        assert [ack.batch for ack in taken] == [batch.digest for batch in sent]
        assert all(ack.accepted == 1 and ack.token for ack in taken)
        assert (refused.code, malformed.code) == ("reading.out_of_bounds", "batch.malformed")
        assert [(each.index, each.count) for each in refused.refused] == [(0, 2)]
        found = [parcel.number for event in await accepted(world) for parcel in event.parcels]
        assert sorted(found) == list(range(20, 120))


async def test_a_sender_that_hangs_up_leaves_nothing_behind(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.peer(None, "ingestion") as peer:
        await world.house.wait(await enrolled(world))
        number = 0

        async def endless() -> AsyncIterator[SignedBatch]:
            nonlocal number
            while True:
                number += 1
                yield message_of(a_batch(world, [100.0], number))

        acks: Any = IngestStub(peer.channel).Stream(endless())
        async with aclosing(acks):
            await anext(acks)
        assert (await accepted(world))[0].parcels


async def until(client: httpx.AsyncClient, asked: dict[str, Any], *, listed: int) -> dict[str, Any]:
    """The page, once it lists so many: the list is filled from the log."""
    async with asyncio.timeout(10):
        while True:
            found: dict[str, Any] = (await client.get("/v1/quarantine", params=asked)).json()
            if len(found["refusals"]) == listed:
                return found
            await asyncio.sleep(0.02)


async def test_refusals_are_listed_once_for_the_owner_alone(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        token, batch = await enrolled(world), a_batch(world, [100.0, np.nan, 5000.0, 101.0])
        for _ in range(2):
            assert (await post(client, batch, token)).json()["accepted"] == 2
        async with world.rest(OWNER, "ingestion") as owner, world.rest(STRANGER, "ingestion", RESEARCH) as stranger:
            asked = {"twin": TWIN}
            found = await until(owner, asked, listed=2)
            assert [(each["code"], each["index"]) for each in found["refusals"]] == [
                ("reading.not_finite", 1),
                ("reading.out_of_bounds", 2),
            ]
            first = (await owner.get("/v1/quarantine", params={**asked, "limit": 1})).json()
            rest = (await owner.get("/v1/quarantine", params={**asked, "cursor": first["next"]})).json()
            assert first["refusals"] + rest["refusals"] == found["refusals"]
            unknown = await owner.get("/v1/quarantine", params={"twin": "did:key:zNobody"})
            answers = [await stranger.get("/v1/quarantine", params=asked), unknown]
            assert problem_codes(answers) == [(404, "platform.not_found")] * 2
            await lived(world, Lifecycle.LIFECYCLE_ERASED, 2)
            await until(owner, asked, listed=0)


async def test_the_owner_releases_what_fits_another_profile(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        batch = a_batch(world, [100.0, 5000.0])
        await post(client, batch, await enrolled(world))
        async with world.rest(OWNER, "ingestion") as owner, world.rest(STRANGER, "ingestion", RESEARCH) as stranger:
            await until(owner, {"twin": TWIN}, listed=1)
            asked = {"twin": TWIN, "batch": batch.digest.hex(), "profile": "generic@1"}
            refused = await stranger.post("/v1/quarantine:release", json=asked)
            released = await owner.post("/v1/quarantine:release", json=asked)
            again = await owner.post("/v1/quarantine:release", json=asked)
            assert released.status_code == 200, released.text
            assert (released.json()["accepted"], released.json()["refused"]) == (1, [])
            assert problem_codes([refused, again]) == [(404, "platform.not_found")] * 2
            assert released.headers["consistency-token"] == released.json()["token"]
            (listed,) = (await until(owner, {"twin": TWIN}, listed=1))["refusals"]
            assert listed["released"]
        parcels = [parcel for event in await accepted(world) for parcel in event.parcels]
        assert [opened(each).columns[0].value.tolist() for each in parcels] == [[100], [5000]]


async def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        sent = await post(client, a_batch(world), await enrolled(world))
    async with a_world(tmp_path) as world:
        (record,) = await stored(world)
        assert f"{record.partition}:{record.offset}" == sent.json()["token"]
