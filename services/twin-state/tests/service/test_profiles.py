"""Profiles that are published while the house runs: by whom, once, for good. ADR 141."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from didymos.twin.v1.twin_events_pb2 import ProfilePublished
from didymos_contracts.topics import TWIN_PROFILE
from didymos_did import Ed25519Signer, sign_document, verify_document
from didymos_kit.eventlog import Record, Stored, envelope
from didymos_testing.did import a_signer
from didymos_testing.kit import problem_codes
from didymos_testing.twin_world import TwinWorld, twin_world

MAKER, OTHER_MAKER, STRANGER = (a_signer(name) for name in ("pump maker", "other maker", "stranger"))
AT = datetime(2026, 1, 1, tzinfo=UTC)
PUMP: dict[str, Any] = {
    "id": "acme.pump@1", "title": "Pump",
    "properties": [
        {"name": "dose/insulin", "unit": "umol/L", "molar_mass": "5808", "period_s": 60, "hard": [0, 1e6]},
        {"name": "place/ward", "kind": "text", "searchable": True},
    ],
    "csv": {"time": {"field": "t"}, "values": [{"field": "d", "property": "dose/insulin", "unit": "mg/dL"}]},
}  # fmt: skip


def signed(signer: Ed25519Signer = MAKER, at: datetime = AT, **changes: Any) -> dict[str, Any]:
    return sign_document({**PUMP, **changes}, signer, at)


@asynccontextmanager
async def a_world(folder: Path) -> AsyncIterator[TwinWorld]:
    async with twin_world(folder, publishers=(MAKER.did, OTHER_MAKER.did)) as world:
        yield world


async def published(world: TwinWorld, document: Any, caller: Ed25519Signer = MAKER) -> httpx.Response:
    async with world.rest(caller) as client:
        return await client.post("/v1/profiles", json=document)


async def told(world: TwinWorld) -> list[str]:
    """What the topic says."""
    found: list[Stored] = []
    async with world.house.event_log.tail(TWIN_PROFILE.name, found.append) as tail:
        await tail.ready()
    return sorted(ProfilePublished.FromString(each.value or b"").profile for each in found)


async def test_a_profile_is_published_listed_shown_and_known_after_a_restart(tmp_path: Path) -> None:
    document = signed()
    async with a_world(tmp_path) as world, world.rest(STRANGER) as client:
        made = await published(world, document)
        assert (made.status_code, made.json()["signed_by"]) == (201, MAKER.did), made.text
        seen = {"consistency-token": made.headers["consistency-token"]}
        listed = (await client.get("/v1/profiles", headers=seen)).json()["profiles"]
        shown = (await client.get(made.headers["location"].removeprefix("/twin-state"))).json()
    assert {each["id"]: each["signed_by"] for each in listed}.items() >= {
        "acme.pump@1": MAKER.did,
        "glucose@1": None,
    }.items()
    assert shown["document"] == document
    verify_document(shown["document"], MAKER.did)
    assert [each["name"] for each in shown["properties"]] == ["dose/insulin", "place/ward"]
    async with a_world(tmp_path) as world, world.rest(STRANGER) as client:
        assert (await client.get("/v1/profiles/acme.pump@1")).json() == shown
        assert (await published(world, document)).status_code == 200


async def test_what_was_published_never_changes(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        first = await published(world, signed())
        seen = {"consistency-token": first.headers["consistency-token"]}
        later = await published(world, signed(at=datetime(2026, 2, 1, tzinfo=UTC)))
        answers = [
            await published(world, signed(title="Pumps")),
            await published(world, signed(OTHER_MAKER), OTHER_MAKER),
            await published(world, signed(OTHER_MAKER, id="acme.pump@2"), OTHER_MAKER),
            await published(world, signed(id="glucose@1")),
            await published(world, signed(id="glucose@9")),
        ]
        newer = await published(world, signed(id="acme.pump@2"))
        assert newer.status_code == 201, newer.text
        assert await told(world) == ["acme.pump@1", "acme.pump@2"]
        async with world.rest(MAKER) as client:
            kept = (await client.get("/v1/profiles/acme.pump@1", headers=seen)).json()
    assert later.status_code == 200
    assert problem_codes(answers) == [
        (409, "profile.immutable"), (409, "profile.name_taken"), (409, "profile.name_taken"),
        (409, "profile.immutable"), (409, "profile.name_taken"),
    ]  # fmt: skip
    assert kept["document"] == signed()


async def test_only_publishers_publish_and_only_what_publishers_signed(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        operator = world.house.keys.organisation
        refused = [
            await published(world, signed(), STRANGER),
            await published(world, signed(STRANGER, id="s@1")),
            await published(world, PUMP),
            await published(world, signed() | {"title": "Other"}),
            await published(world, signed(surprise=1)),
            await published(world, signed(title="x" * 300)),
            await published(
                world, signed(csv={**PUMP["csv"], "values": [{"field": "d", "property": "dose/insulin", "unit": "s"}]})
            ),
        ]
        await world.world.identity.suspend(OTHER_MAKER.did)
        handed_in = await published(world, signed(id="acme.tube@1"), operator)
        own = await published(world, signed(operator, id="ward.bed@1"), operator)
        async with world.rest(MAKER) as client:
            headers = {"content-type": "application/json"}
            long = await client.post("/v1/profiles", content=b" " * 300_000, headers=headers)
            odd = await client.post("/v1/profiles", content=b"[" * 5000, headers=headers)
            plain = await client.post("/v1/profiles", content=b"{}", headers={"content-type": "text/plain"})
    assert problem_codes([*refused, long, odd, plain]) == [
        (403, "platform.forbidden"), (403, "platform.forbidden"), (422, "profile.signature_invalid"),
        (422, "profile.signature_invalid"), (422, "profile.malformed"), (422, "profile.malformed"),
        (422, "profile.malformed"), (413, "platform.too_large"), (422, "profile.malformed"),
        (415, "platform.unsupported_media"),
    ]  # fmt: skip
    assert (handed_in.status_code, own.status_code) == (201, 201)


async def test_a_twin_lives_by_the_rules_of_a_published_profile(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.profile = "acme.pump@1"
        made = await published(world, signed())
        seen = {"consistency-token": made.headers["consistency-token"]}
        async with world.rest(world.owner) as client:
            await world.world.identity.register(world.twin, world.owner.did)
            early = await client.post("/v1/twins", json={"twin": world.twin, "profile": "acme.pump@7"}, headers=seen)
            await world.create()
            wish = {"dose/insulin": {"value": 2e6, "unit": "umol/L"}}
            beyond = await client.patch(
                f"/v1/twins/{world.twin}/desired", content=json.dumps(wish),
                headers={"content-type": "application/merge-patch+json", "if-match": "*"},
            )  # fmt: skip
        assert problem_codes([early, beyond]) == [(422, "platform.invalid_field"), (422, "desired.out_of_bounds")]


async def test_what_is_no_profile_on_the_topic_holds_nothing_up(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        for value in (b"\xff", ProfilePublished(profile="x@1", document=b"{}").SerializeToString(), None):
            said = envelope.Envelope("1", "didymos://test", "didymos.twin.v1.ProfilePublished", world.house.clock.now())
            record = Record(TWIN_PROFILE.name, b"x@1", value, envelope.build(said), world.house.clock.now_us() // 1000)
            async with world.house.event_log.writer("test") as writer:
                await writer.append([record])
        made = await published(world, signed())
        async with world.rest(STRANGER) as client:
            seen = {"consistency-token": made.headers["consistency-token"]}
            assert (await client.get("/v1/profiles/acme.pump@1", headers=seen)).status_code == 200
            assert (await client.get("/v1/profiles/x@1")).status_code == 404


async def test_a_house_keeps_so_many_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("didymos_twin_state.application.publish_profile.MOST", 1)
    async with a_world(tmp_path) as world:
        assert (await published(world, signed())).status_code == 201
        refused = await published(world, signed(id="acme.tube@1"))
        again = await published(world, signed())
        foreign = await published(world, signed(OTHER_MAKER, id="acme.tube@1"), OTHER_MAKER)
    assert again.status_code == 200
    assert problem_codes([refused, foreign]) == [(409, "profile.too_many")] * 2  # what was refused took no name
