"""Formats that devices speak already, over real HTTP: signed requests, tokens, events in headers, profiles by query."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsAccepted
from didymos.ingestion.v1.ingestion_types_pb2 import SignedRequest
from didymos_contracts.topics import READINGS
from didymos_did import key_of, sign_document
from didymos_ingestion.bootstrap import bootstrap
from didymos_ingestion.settings import IngestionSettings
from didymos_kit.eventlog import Stored
from didymos_readings import READINGS_JSON, Assurance, Request, proved_body, sign_request
from didymos_testing.did import OWNER, STRANGER
from didymos_testing.house import World, a_house, served
from didymos_testing.ingestion import DEVICE, TWIN, an_enrolment_credential, opened
from didymos_testing.kit import problem_codes

PATH = "/ingestion/v1/batches"
SENML = "application/senml+json"
PACK = json.dumps([{"n": "glucose/level", "u": "kg/m3", "v": 1.02}]).encode()


@asynccontextmanager
async def a_world(folder: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(a_house(folder))
        service = await stack.enter_async_context(bootstrap(IngestionSettings(), house))
        yield await stack.enter_async_context(served(house, service))


async def enrolled(world: World) -> str:
    await world.identity.register(TWIN, OWNER.did)
    credential = an_enrolment_credential(DEVICE.did, TWIN, OWNER.did, world.house.clock.now_us())
    return await world.identity.enrol(credential)


def signed(
    world: World, body: bytes, media: str, signer: Any = DEVICE, created: int = 0, **headers: str
) -> dict[str, str]:
    fields = {"content-type": media, **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = Request("POST", f"{world.house.origin}{PATH}", fields, body)
    return {**fields, **sign_request(request, signer, created or int(time.time()))}


async def parcels(world: World) -> list[Any]:
    found: list[Stored] = []
    async with world.house.event_log.tail(READINGS.name, found.append) as tail:
        await tail.ready()
    return [parcel for record in found for parcel in ReadingsAccepted.FromString(record.value or b"").parcels]


async def test_a_signed_request_comes_in_with_its_proof(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        token = await enrolled(world)
        headers = signed(world, PACK, SENML, didymos_stream="1", didymos_number="7")
        sent = await client.post("/v1/batches", content=PACK, headers={**headers, "consistency-token": token})
        assert (sent.status_code, sent.json()["accepted"]) == (202, 1), sent.text
        (parcel,) = await parcels(world)
        assert (parcel.device, parcel.number, int(parcel.assurance)) == (DEVICE.did, 7, Assurance.HTTP)
        proof = SignedRequest.FromString(opened(parcel).original)
        assert (proof.body, proof.kid) == (PACK, DEVICE.kid)
        assert proved_body(proof.base, proof.signature, key_of(proof.kid), proof.body)


async def test_equal_bodies_without_a_time_are_told_apart_by_their_signatures(tmp_path: Path) -> None:
    """A retry is the same request; a sensor that reads the same a minute later signs another."""
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        token = {"consistency-token": await enrolled(world)}
        now = int(time.time())

        async def sent(body: bytes, created: int) -> str:
            headers = {**signed(world, body, SENML, created=created), **token}
            return str((await client.post("/v1/batches", content=body, headers=headers)).json()["batch"])

        first, retry, later = [await sent(PACK, at) for at in (now, now, now - 60)]
        assert first == retry != later
        timed = json.dumps([{"n": "glucose/level", "u": "kg/m3", "v": 1.02, "t": now - 5}]).encode()
        assert await sent(timed, now) == await sent(timed, now - 60)


async def test_a_signature_is_judged_before_anything_is_read(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        token = {"consistency-token": await enrolled(world)}
        good = signed(world, PACK, SENML, didymos_number="7")

        async def answer(body: bytes, headers: dict[str, str], path: str = "/v1/batches") -> httpx.Response:
            return await client.post(path, content=body, headers={**headers, **token})

        wrong = {**good, "signature": "didymos=:" + "A" * 86 + "==:"}
        nobody = {**good, "signature-input": good["signature-input"].replace(DEVICE.kid, "did:key:zX#zX")}
        answers = [
            await answer(PACK + b" ", good),
            await answer(PACK, {**good, "didymos-number": "8"}),
            await answer(PACK, {**good, "content-type": "application/senml+json; x=y"}),
            await answer(PACK, good, "/v1/batches?profile=generic@1"),
            await answer(PACK, wrong),
            await answer(PACK, nobody),
            await answer(PACK, signed(world, PACK, SENML, signer=STRANGER)),
        ]
        assert problem_codes(answers) == [
            *[(401, "batch.signature_invalid")] * 5, (401, "batch.key_unknown"), (403, "batch.device_unknown"),
        ]  # fmt: skip
        assert await parcels(world) == []


async def test_a_document_with_a_proof_needs_nothing_beside_it(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        reading = {"property": "glucose/level", "unit": "mg/dL", "value": 101.5}
        said = {"readings": [reading], "device": DEVICE.did, "audience": world.house.org, "stream": 1, "number": 3}
        document = json.dumps(sign_document(said, DEVICE, datetime.now(UTC))).encode()
        headers = {"content-type": READINGS_JSON, "consistency-token": await enrolled(world)}
        sent = await client.post("/v1/batches", content=document, headers=headers)
        assert (sent.status_code, sent.json()["accepted"]) == (202, 1), sent.text
        (parcel,) = await parcels(world)
        assert (parcel.device, parcel.number, int(parcel.assurance)) == (DEVICE.did, 3, Assurance.HTTP)
        assert SignedRequest.FromString(opened(parcel).original).body == document
        changed = document.replace(b"101.5", b"102.5")
        answers = [
            await client.post("/v1/batches", content=changed, headers=headers),
            await client.post("/v1/batches", content=document, headers={**headers, "didymos-number": "4"}),
            await client.post("/v1/batches", content=b'{"readings": []}', headers=headers),
        ]
        assert problem_codes(answers) == [
            (401, "batch.signature_invalid"), (422, "platform.invalid_field"), (400, "batch.malformed"),
        ]  # fmt: skip
        async with world.rest(DEVICE, "ingestion") as device:
            plain = json.dumps({"readings": [reading]}).encode()
            taken = await device.post("/v1/batches", content=plain, headers=headers)
            assert taken.status_code == 202, taken.text


async def test_an_event_in_headers_is_signed_with_them(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(None, "ingestion") as client:
        token = await enrolled(world)
        headers = signed(world, PACK, SENML, ce_specversion="1.0", ce_id="1", ce_source="/pump", ce_type="readings")
        one, two = [
            await client.post("/v1/batches", content=PACK, headers={**headers, "consistency-token": token})
            for _ in range(2)
        ]
        assert (one.status_code, one.json()["batch"]) == (202, two.json()["batch"])
        other = await client.post("/v1/batches", content=PACK, headers={**headers, "ce-id": "2"})
        assert problem_codes([other]) == [(401, "batch.signature_invalid")]


async def test_structured_events_come_in_by_token(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(DEVICE, "ingestion") as device:
        token = await enrolled(world)
        event = {
            "specversion": "1.0", "id": "1", "source": "/pump", "type": "t", "datacontenttype": SENML,
            "data": json.loads(PACK),
        }  # fmt: skip
        for media, body in (("cloudevents", event), ("cloudevents-batch", [event, {**event, "id": "2"}])):
            headers = {"content-type": f"application/{media}+json", "consistency-token": token}
            sent = await device.post("/v1/batches", content=json.dumps(body).encode(), headers=headers)
            assert sent.status_code == 202, sent.text
        assert [int(each.assurance) for each in await parcels(world)] == [Assurance.TOKEN] * 3


async def test_a_query_is_a_profile_and_nothing_else(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(DEVICE, "ingestion") as device:
        headers = {"content-type": "text/csv", "consistency-token": await enrolled(world)}
        queries = ["?profile=glucose@1", "?profile=none@1", "?profile=", "?other=1", "?profile=a@1&profile=b@1"]
        asked = [f"/v1/batches{query}" for query in queries]
        answers = [await device.post(path, content=b"time,value\n", headers=headers) for path in asked]
        answers.append(await device.post("/v1/batches", content=b"", headers={**headers, "didymos-backfill": "yes"}))
        native = {"content-type": "application/vnd.didymos.batch"}
        answers.append(await device.post("/v1/batches?profile=a@1", content=b"", headers=native))
        assert problem_codes(answers) == [
            (415, "batch.media_unsupported"), (422, "profile.unknown"), (422, "platform.invalid_field"),
            (422, "platform.unknown_field"), (422, "platform.unknown_field"), (422, "platform.invalid_field"),
            (422, "platform.unknown_field"),
        ]  # fmt: skip
