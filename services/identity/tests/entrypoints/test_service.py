"""The whole service over REST and gRPC: from two keys to a grant that ends."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from didymos.identity.v1 import identity_service_pb2 as pb
from didymos.identity.v1 import identity_service_pb2_grpc as rpc
from didymos.identity.v1.identity_events_pb2 import AccessDecided
from didymos.identity.v1.identity_types_pb2 import GrantState, SignedStatement
from didymos_contracts.errors import Problem
from didymos_contracts.topics import AUDIT
from didymos_did import Ed25519Signer, TwinId, document, jcs, parse_strict, sign_site_enrolment
from didymos_identity.bootstrap import bootstrap
from didymos_identity.settings import IdentitySettings
from didymos_kit.eventlog.port import Stored
from didymos_kit.settings import load
from didymos_testing.did import INSTITUTE, OWNER, RESEARCH, STRANGER, TWIN, a_grant_id, a_read_terms, a_signer
from didymos_testing.house import World, a_house, served
from didymos_testing.identity import (
    DEVICE,
    JSON,
    a_device_revocation,
    a_grant_credential,
    a_registration,
    a_revocation,
    a_window,
    an_enrolment,
    an_erasure,
    said,
)

TWIN_ID = TwinId(TWIN.did)


def now(world: World) -> datetime:
    return world.house.clock.now()


async def post(world: World, path: str, body: object = None, signer: Ed25519Signer | None = OWNER) -> httpx.Response:
    """Bytes go as they are; what it publishes is in the tails when this returns."""
    sent = {"content": body, "headers": JSON} if isinstance(body, bytes) else {"json": body}
    async with world.rest(signer, "identity") as client:
        answer = await client.post(path, **sent)
    await world.house.wait(answer.headers.get("consistency-token"))
    return answer


async def a_granted_twin(world: World) -> bytes:
    """The credential of a grant to INSTITUTE that may read."""
    assert (await post(world, "/v1/twins", a_registration())).status_code == 200
    credential = a_grant_credential(now(world), terms=a_read_terms(window=a_window(now(world))))
    assert (await post(world, "/v1/grants", credential)).status_code == 200
    return credential


async def test_the_thread_from_a_twin_to_its_end(world: World) -> None:
    house = world.house
    answer = await post(world, "/v1/twins", a_registration())
    assert (answer.status_code, answer.json()["owner"]) == (200, OWNER.did)
    assert house.identity.owner_of(TWIN_ID) == OWNER.did
    answer = await post(world, "/v1/devices", an_enrolment(now(world)))
    assert answer.status_code == 200
    assert [each.twin for each in house.identity.enrolments(DEVICE.did)] == [TWIN_ID]
    assert house.identity.enrolments(DEVICE.did, [TwinId(STRANGER.did)]) == ()
    assert house.identity.enrolments(DEVICE.did, [TWIN_ID]) == house.identity.enrolments(DEVICE.did)
    assert (house.identity.rate(DEVICE.did), house.identity.rate(STRANGER.did)) == (10, None)
    answer = await post(world, f"/v1/devices/{DEVICE.did}/revoke", said(a_device_revocation(now(world))))
    assert answer.status_code == 200
    assert house.identity.enrolments(DEVICE.did)[0].lost_since_us is not None
    credential = a_grant_credential(now(world))
    assert (await post(world, "/v1/grants", credential)).json()["state"] == "active"
    again = await post(world, "/v1/grants", credential)
    assert (again.status_code, again.headers.get("consistency-token")) == (200, None)
    assert len(house.consent.grants(TWIN_ID)) == 1
    answer = await post(world, f"/v1/grants/{a_grant_id()}/revoke", said(a_revocation(credential, now(world))))
    assert (answer.status_code, answer.json()["state"], answer.json()["revision"]) == (200, "revoked", 2)
    answer = await post(world, f"/v1/twins/{TWIN.did}/erase", said(an_erasure(now(world))))
    assert (answer.status_code, answer.json()["state"]) == (200, "erased")
    assert house.identity.destroyed(TWIN_ID)


async def test_grants_are_read_and_listed_by_whom_they_concern(world: World) -> None:
    credential = await a_granted_twin(world)
    for number in (2, 3):
        await post(world, "/v1/grants", a_grant_credential(now(world), number))
    async with world.rest(INSTITUTE, "identity") as grantee, world.rest(STRANGER, "identity") as stranger:
        one = await grantee.get(f"/v1/grants/{a_grant_id()}")
        assert one.json()["credential"] == parse_strict(credential)
        first = (await grantee.get("/v1/grants", params={"twin": TWIN.did, "limit": 2})).json()
        rest = (await grantee.get("/v1/grants", params={"twin": TWIN.did, "limit": 2, "cursor": first["next"]})).json()
        assert [each["grant_id"] for each in first["grants"] + rest["grants"]] == [a_grant_id(n) for n in (1, 2, 3)]
        assert rest["next"] is None
        stolen = await stranger.get("/v1/grants", params={"twin": TWIN.did, "limit": 2, "cursor": first["next"]})
        assert stolen.json()["code"] == "platform.malformed"
        assert (await stranger.get("/v1/grants", params={"twin": TWIN.did})).json() == {"grants": [], "next": None}
        hidden = await stranger.get(f"/v1/grants/{a_grant_id()}")
        absent = await stranger.get(f"/v1/grants/{a_grant_id(9)}")
        assert (hidden.status_code, absent.status_code) == (404, 404)
        assert hidden.json().keys() == absent.json().keys()


async def test_only_its_owner_is_told_whose_a_twin_is(world: World) -> None:
    await a_granted_twin(world)
    async with world.rest(OWNER, "identity") as owner, world.rest(INSTITUTE, "identity") as other:
        assert (await owner.get(f"/v1/twins/{TWIN.did}")).json()["state"] == "active"
        for did in (TWIN.did, STRANGER.did):
            assert (await other.get(f"/v1/twins/{did}")).status_code == 404


async def test_a_did_document_is_open_to_all(world: World) -> None:
    async with world.rest(None, "identity") as anybody:
        answer = await anybody.get(f"/v1/dids/{OWNER.did}")
        assert (answer.status_code, answer.content) == (200, jcs(document(OWNER.did)))
        assert (await anybody.get("/v1/dids/did:web:example.org")).json()["code"] == "did.malformed"
    async with world.peer(None, "identity") as peer:
        found = await rpc.ResolverStub(peer.channel).Resolve(pb.ResolveRequest(did=OWNER.did))
        assert found.document == jcs(document(OWNER.did))


async def test_a_suspended_subject_is_out_until_it_is_restored(world: World) -> None:
    admin = world.house.keys.organisation
    assert (await post(world, f"/v1/subjects/{OWNER.did}/suspend", signer=OWNER)).status_code == 404
    assert (await post(world, f"/v1/subjects/{OWNER.did}/suspend", signer=admin)).json()["status"] == "suspended"
    async with world.rest(OWNER, "identity") as client:
        with pytest.raises(Problem) as raised:
            await client.get("/v1/grants")
    assert raised.value.row.code == "platform.unauthenticated"
    assert (await post(world, f"/v1/subjects/{OWNER.did}/restore", signer=admin)).json()["status"] == "active"
    async with world.rest(OWNER, "identity") as client:
        assert (await client.get("/v1/grants")).status_code == 200


async def test_the_path_and_the_statement_name_the_same(world: World) -> None:
    credential = await a_granted_twin(world)
    answer = await post(world, f"/v1/grants/{a_grant_id(2)}/revoke", said(a_revocation(credential, now(world))))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/grant")


async def test_the_ledger_reads_every_credential_and_no_other_service_does(world: World) -> None:
    credential = await a_granted_twin(world)
    request = pb.GetRequest(grant_id=a_grant_id())
    async with world.house.rpc("identity", "ledger") as ledger, world.house.rpc("identity", "steward") as steward:
        assert (await rpc.GrantsStub(ledger.channel).Get(request)).credential == credential
        with pytest.raises(Problem) as raised:
            await rpc.GrantsStub(steward.channel).Get(request)
        assert raised.value.row.code == "platform.not_found"


async def test_services_use_grants_over_grpc(world: World) -> None:
    await post(world, "/v1/twins", a_registration())
    credential = a_grant_credential(now(world))
    async with world.peer(OWNER, "identity") as peer:
        grants = rpc.GrantsStub(peer.channel)
        made = await grants.Register(pb.RegisterRequest(credential=credential))
        assert (made.revision, made.state) == (1, GrantState.GRANT_STATE_ACTIVE)
        found = await grants.Get(pb.GetRequest(grant_id=made.grant_id))
        assert found.credential == credential
        signed = a_revocation(credential, now(world))
        statement = SignedStatement(body=signed.body, kid=signed.kid, signature=signed.signature)
        ended = await grants.Revoke(pb.RevokeRequest(statement=statement))
        assert (ended.revision, ended.consistency_token[:1]) == (2, "c")


@asynccontextmanager
async def watching(
    world: World, signer: Ed25519Signer, *twins: str, enrolment: bytes = b""
) -> AsyncIterator[AsyncIterator[pb.WatchResponse]]:
    async with world.peer(signer, "identity") as peer:
        request = pb.WatchRequest(twins=twins, enrolment=enrolment)
        answers: Any = rpc.GrantsStub(peer.channel).Watch(request)  # kit's peer gives a plain generator
        async with aclosing(answers):
            yield answers


async def test_a_site_that_its_organisation_signed_for_sees_a_grant_end(world: World) -> None:
    credential = await a_granted_twin(world)
    site = a_signer("site")
    enrolment = jcs(sign_site_enrolment(site.did, a_window(now(world)), world.house.keys.organisation))
    async with watching(world, site, TWIN.did, enrolment=enrolment) as answers:
        first = await anext(answers)
        assert first.changed.state == GrantState.GRANT_STATE_ACTIVE
        await post(world, f"/v1/grants/{a_grant_id()}/revoke", said(a_revocation(credential, now(world))))
        async for answer in answers:
            if answer.HasField("changed"):
                assert answer.changed.state == GrantState.GRANT_STATE_REVOKED
                break
        async for answer in answers:
            if answer.staleness_ms < 2000:
                break


async def test_nobody_watches_twins_of_others(world: World) -> None:
    await a_granted_twin(world)
    foreign = a_signer("another organisation")
    enrolment = jcs(sign_site_enrolment(STRANGER.did, a_window(now(world)), foreign))
    for twin, given in ((TWIN.did, b""), (TWIN.did, enrolment), (STRANGER.did, b"")):
        with pytest.raises(Problem) as raised:
            async with watching(world, STRANGER, twin, enrolment=given) as answers:
                await anext(answers)
        assert raised.value.row.code == "platform.not_found"
    with pytest.raises(Problem) as raised:
        async with watching(world, STRANGER) as answers:
            await anext(answers)
    assert raised.value.row.code == "platform.too_large"


async def test_decisions_follow_the_tail_and_denials_reach_the_audit(world: World) -> None:
    await a_granted_twin(world)
    request = pb.DecideRequest(
        actor=INSTITUTE.did, action="read", twin=TWIN.did, paths=["features/glucose/level"], purpose=RESEARCH
    )
    audit: list[Stored] = []
    async with watching(world, OWNER, TWIN.did) as beats:
        async for beat in beats:
            if beat.staleness_ms < 2000:
                break
    async with world.peer(INSTITUTE, "identity") as peer:
        decisions = rpc.DecisionsStub(peer.channel)
        allowed = await decisions.Decide(request)
        assert (allowed.allowed, allowed.reason, allowed.grant_id) == (True, "grant", a_grant_id())
        request.action = "train"
        denied = await decisions.Decide(request)
        assert (denied.allowed, denied.reason) == (False, "action_not_granted")
        request.action = "fly"
        with pytest.raises(Problem):
            await decisions.Decide(request)
    async with world.house.event_log.tail(AUDIT.name, audit.append) as tail:
        await tail.ready()
    (record,) = [AccessDecided.FromString(each.value or b"") for each in audit]
    assert (record.actor, record.reason, record.twin) == (INSTITUTE.did, "action_not_granted", TWIN.did)


async def test_only_services_of_the_vault_get_keys_and_an_erased_twin_has_none(world: World) -> None:
    await post(world, "/v1/twins", a_registration())
    request = pb.EpochKeysRequest(wanted=[pb.EpochKeyName(twin=TWIN.did, epoch=3)])
    async with world.house.rpc("identity", "ingestion") as ingestion, world.house.rpc("identity", "steward") as steward:
        (key,) = (await rpc.VaultStub(ingestion.channel).EpochKeys(request)).keys
        assert (len(key.key), key.destroyed) == (32, False)
        with pytest.raises(Problem) as raised:
            await rpc.VaultStub(steward.channel).EpochKeys(request)
        assert raised.value.row.code == "platform.not_found"
        await post(world, f"/v1/twins/{TWIN.did}/erase", said(an_erasure(now(world))))
        (gone,) = (await rpc.VaultStub(ingestion.channel).EpochKeys(request)).keys
        assert (gone.key, gone.destroyed) == (b"", True)


async def test_what_was_registered_is_there_after_a_restart_and_fresh_soon(tmp_path: Path) -> None:
    settings = load(IdentitySettings, {})
    async with a_house(tmp_path) as house, bootstrap(settings, house) as service, served(house, service) as world:
        credential = await a_granted_twin(world)
    async with a_house(tmp_path) as house, bootstrap(settings, house) as service, served(house, service) as world:
        assert house.identity.owner_of(TWIN_ID) == OWNER.did
        async with watching(world, OWNER, TWIN.did) as answers:
            async for beat in answers:
                if beat.staleness_ms < 2000:
                    break
        answer = await post(world, f"/v1/grants/{a_grant_id()}/revoke", said(a_revocation(credential, now(world))))
        assert answer.json()["state"] == "revoked"


async def test_a_window_in_the_past_names_its_place(world: World) -> None:
    await post(world, "/v1/twins", a_registration())
    old = a_grant_credential(now(world) - timedelta(days=60))
    answer = await post(world, "/v1/grants", old)
    assert (answer.status_code, answer.json()["code"]) == (422, "grant.window_invalid")
