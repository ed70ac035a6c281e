"""Desired values, relations and life: authorised, conditional, applied once, over the real surface."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
from didymos_did import Action
from didymos_testing.did import INSTITUTE, PERSONAL, STRANGER, a_terms
from didymos_testing.kit import problem_codes
from didymos_testing.twin_world import TwinWorld, twin_world

TARGET = "glucose/target"
MERGE = {"content-type": "application/merge-patch+json"}


async def patched(
    client: httpx.AsyncClient, world: TwinWorld, body: Any, if_match: str | None = "*", **headers: str
) -> httpx.Response:
    said = {**MERGE, **({} if if_match is None else {"if-match": if_match}), **headers}
    return await client.patch(f"/v1/twins/{world.twin}/desired", json=body, headers=said)


async def test_a_merge_patch_sets_merges_and_removes(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        first = await patched(client, world, {TARGET: {"value": 95, "unit": "mg/dL"}}, '"1"')
        assert (first.status_code, first.headers["etag"], first.json()["revision"]) == (200, '"2"', 2)
        await patched(client, world, {TARGET: {"value": 100.5}})
        shown = (await client.get(f"/v1/twins/{world.twin}/desired")).json()
        assert (shown[TARGET]["value"], shown[TARGET]["unit"], shown[TARGET]["status"]) == (100.5, "mg/dL", "pending")
        await patched(client, world, {TARGET: None})
        assert (await client.get(f"/v1/twins/{world.twin}/desired")).json() == {}


async def test_a_patch_names_the_revision_that_it_changes(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        body = {TARGET: {"value": 95}}
        refused = [
            await patched(client, world, body, None),
            await patched(client, world, body, '"7"'),
            await patched(client, world, {"glucose/level": {"value": 5000, "unit": "mg/dL"}}),
            await patched(client, world, {"glucose/level": {"value": "high"}}),
            await patched(client, world, {TARGET: 95}),
            await patched(client, world, []),
            await client.patch(f"/v1/twins/{world.twin}/desired", json=body, headers={"if-match": "*"}),
        ]
    assert problem_codes(refused) == [
        (428, "platform.precondition_required"), (412, "twin.revision_conflict"), (422, "desired.out_of_bounds"),
        (422, "desired.out_of_bounds"), (422, "platform.invalid_field"), (422, "platform.invalid_field"),
        (415, "platform.unsupported_media"),
    ]  # fmt: skip


async def test_of_writers_at_once_one_wins(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        answers = await asyncio.gather(*(patched(client, world, {TARGET: {"value": n}}, '"1"') for n in range(6)))
        shown = (await client.get(f"/v1/twins/{world.twin}")).json()
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412, 412]
    assert shown["revision"] == 2


async def test_a_request_that_is_sent_again_has_one_effect(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        for _ in range(3):
            again = await patched(client, world, {TARGET: {"value": 95}}, **{"idempotency-key": "k1"})
            assert (again.status_code, again.json()["revision"]) == (200, 2)


async def test_only_the_registered_owner_creates_a_twin_and_once(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        await world.create()
        async with world.rest(world.owner) as mine, world.rest(STRANGER) as theirs:
            new = {"twin": world.twin, "profile": "glucose@1"}
            answers = [
                await mine.post("/v1/twins", json=new),
                await theirs.post("/v1/twins", json=new),
                await mine.post("/v1/twins", json={**new, "profile": "nothing@9"}),
                await mine.post("/v1/twins", json={**new, "more": 1}),
            ]
    assert problem_codes(answers) == [
        (409, "twin.exists"), (404, "platform.not_found"), (422, "platform.invalid_field"),
        (422, "platform.unknown_field"),
    ]  # fmt: skip


async def test_an_owner_lists_its_own_twins_and_no_others(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        token = await world.create()
        other = TwinWorld(world.world, "clinic")
        await other.create()
        async with world.rest(world.owner) as mine, world.rest(STRANGER) as theirs:
            heard = {"consistency-token": token}
            found = (await mine.get("/v1/twins", params={"limit": 5}, headers=heard)).json()
            none = (await theirs.get("/v1/twins", headers=heard)).json()
    assert found == {
        "twins": [{"twin": world.twin, "profile": "glucose@1", "lifecycle": "active", "revision": 1}], "next": None,
    }  # fmt: skip
    assert none == {"twins": [], "next": None}


async def test_to_administer_is_granted_by_path(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        created = await world.create()
        terms = a_terms(
            actions=[Action.ADMINISTER], paths=["features/glucose/**"], task=None, constraints={}, purposes=[PERSONAL]
        )
        _, token = await world.grant(INSTITUTE, terms)
        async with world.rest(INSTITUTE, PERSONAL) as client:
            heard = {"consistency-token": f"{created},{token}"}
            allowed = await patched(client, world, {TARGET: {"value": 95}}, **heard)
            denied = [
                await patched(client, world, {"insulin/bolus": {"value": 1}}),
                await client.post(f"/v1/twins/{world.twin}/lifecycle", json={"lifecycle": "suspended"}),
            ]
    assert allowed.status_code == 200
    assert problem_codes(denied) == [(404, "platform.not_found")] * 2


async def test_a_twin_moves_in_its_life_as_the_table_says(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        path = f"/v1/twins/{world.twin}/lifecycle"
        moves = [await client.post(path, json={"lifecycle": step}) for step in ("suspended", "active", "retired")]
        back = await client.post(path, json={"lifecycle": "active"})
        erased = await client.post(path, json={"lifecycle": "erased"})
    assert [move.status_code for move in moves] == [200, 200, 200]
    assert problem_codes([back, erased]) == [(409, "twin.lifecycle_refused"), (422, "platform.invalid_field")]


async def test_a_relation_is_listed_backwards_once_it_is_accepted(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        await world.create()
        other = TwinWorld(world.world, "clinic")
        await other.create()
        async with world.rest(world.owner) as mine, world.rest(other.owner) as theirs:
            put = await mine.put(f"/v1/twins/{world.twin}/relations", json={"name": "treated-by", "target": other.twin})
            before = (await theirs.get(f"/v1/twins/{other.twin}/relations", headers=_token(put))).json()
            said = {"source": world.twin, "name": "treated-by"}
            accepted = await theirs.post(f"/v1/twins/{other.twin}/relations/accept", json=said)
            after = (await theirs.get(f"/v1/twins/{other.twin}/relations", headers=_token(accepted))).json()
            query = {"name": "treated-by", "target": other.twin}
            gone = await mine.delete(f"/v1/twins/{world.twin}/relations", params=query)
            left = (await mine.get(f"/v1/twins/{world.twin}/relations", headers=_token(gone))).json()
            stranger = await mine.post(f"/v1/twins/{other.twin}/relations/accept", json=said)
    assert before["incoming"] == []
    assert after["incoming"] == [said]
    assert left["relations"] == []
    assert problem_codes([stranger]) == [(404, "platform.not_found")]


def _token(answer: httpx.Response) -> dict[str, str]:
    return {"consistency-token": answer.headers["consistency-token"]}
