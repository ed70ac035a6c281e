"""The whole service over REST and gRPC: from two keys to a grant that ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
from didymos.identity.v1 import identity_service_pb2 as pb
from didymos.identity.v1 import identity_service_pb2_grpc as rpc
from didymos_did import Signed, TwinId, jcs, parse_grant, sign_device_enrolment, sign_erasure, sign_revocation
from didymos_did import sign_twin_registration
from didymos_did.grants import sign_grant
from didymos_did.multibase import b64u
from didymos_identity.bootstrap import bootstrap
from didymos_identity.settings import IdentitySettings
from didymos_kit.settings import load
from didymos_testing.did import INSTITUTE, OWNER, STRANGER, TWIN, a_grant_id, a_signer, a_terms
from didymos_testing.house import World, a_house, served

DEVICE = a_signer("device")


@asynccontextmanager
async def a_world(folder: Path) -> AsyncIterator[World]:
    async with a_house(folder) as house, bootstrap(load(IdentitySettings, {}), house) as service:
        async with served(house, service) as world:
            yield world


def said(signed: Signed) -> dict[str, str]:
    return {"body": b64u(signed.body), "kid": signed.kid, "signature": b64u(signed.signature)}


async def registered(world: World) -> httpx.Response:
    by_owner, by_twin = sign_twin_registration(OWNER, TWIN)
    async with world.rest(OWNER, "identity") as owner:
        return await owner.post("/v1/twins", json={"by_owner": said(by_owner), "by_twin": said(by_twin)})


async def test_the_thread_from_a_twin_to_a_grant_that_ends(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(OWNER, "identity") as owner:
        answer = await registered(world)
        assert (answer.status_code, answer.json()["owner"]) == (200, OWNER.did)
        assert answer.headers["consistency-token"].startswith("i")
        await world.house.wait(answer.headers["consistency-token"])
        assert world.house.identity.owner_of(TwinId(TWIN.did)) == OWNER.did
        now = world.house.clock.now().replace(microsecond=0)
        window = (now - timedelta(days=1), now + timedelta(days=30))
        enrolment = sign_device_enrolment(DEVICE.did, TwinId(TWIN.did), ("features/**",), "cgm@1", window, OWNER)
        answer = await owner.post("/v1/devices", content=jcs(enrolment), headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text
        await world.house.wait(answer.headers["consistency-token"])
        assert [each.twin for each in world.house.identity.enrolments(DEVICE.did)] == [TWIN.did]
        grant = sign_grant(a_grant_id(), INSTITUTE.did, TwinId(TWIN.did), a_terms(window=window), OWNER, now)
        answer = await owner.post("/v1/grants", content=jcs(grant), headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["state"]) == (200, "active"), answer.text
        await world.house.wait(answer.headers["consistency-token"])
        assert len(world.house.consent.grants(TwinId(TWIN.did))) == 1
        async with asyncio.timeout(5):
            while not world.house.consent.fresh:
                await asyncio.sleep(0.05)
        statement = sign_revocation(a_grant_id(), parse_grant(jcs(grant)).digest, now, OWNER)
        answer = await owner.post(f"/v1/grants/{a_grant_id()}/revoke", json=said(statement))
        assert (answer.status_code, answer.json()["state"]) == (200, "revoked"), answer.text
        answer = await owner.get("/v1/grants", params={"twin": TWIN.did})
        assert [each["state"] for each in answer.json()["grants"]] == ["revoked"]
        answer = await owner.post(f"/v1/twins/{TWIN.did}/erase", json=said(sign_erasure(TwinId(TWIN.did), now, OWNER)))
        assert (answer.status_code, answer.json()["state"]) == (200, "erased"), answer.text
