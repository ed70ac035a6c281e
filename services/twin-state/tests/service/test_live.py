"""Live changes, filtered by consent at the moment of delivery."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from didymos.twin.v1.twin_service_pb2 import GetTwinRequest, RangeRequest, WatchRequest
from didymos.twin.v1.twin_service_pb2_grpc import HistoryStub, TwinStateStub
from didymos_contracts.errors import Problem
from didymos_did import Ed25519Signer
from didymos_testing.did import INSTITUTE, RESEARCH, STRANGER, a_read_terms
from didymos_testing.kit import problem_codes
from didymos_testing.twin_world import GLUCOSE, TwinWorld, twin_world

MINUTE_US = 60_000_000


class Events:
    """The events of a stream, one after the other."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """`{id, event, data}`; comments and the retry line are passed over."""
        said: dict[str, Any] = {}
        async with asyncio.timeout(10):
            async for line in self._lines:
                name, _, rest = line.partition(": ")
                if name in ("id", "event", "data"):
                    said[name] = json.loads(rest) if name == "data" else rest
                elif not line and "event" in said:
                    return said
        raise AssertionError("the stream ended without a word")

    async def until(self, value: float) -> dict[str, Any]:
        """The change to `value`. Those before it may have been applied, but not yet said, when the stream began."""
        while True:
            said = await self.next()
            if said["event"] == "changed" and said["data"]["reported"][GLUCOSE]["value"] == value:
                return said


@asynccontextmanager
async def watching(world: TwinWorld, signer: Ed25519Signer, purpose: str = "", **headers: str) -> AsyncIterator[Events]:
    path = f"/v1/twins/{world.twin}/events"
    async with world.rest(signer, purpose) as client, client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield Events(answer)


async def a_reader(world: TwinWorld, **terms: Any) -> tuple[Any, str]:
    """A grant to the institute to read and watch glucose for research, after a first reading."""
    await world.create()
    token = await world.send([100.0], [world.house.clock.now_us() - 10 * MINUTE_US])
    grant, consent = await world.grant(INSTITUTE, a_read_terms(**terms))
    return grant, f"{token},{consent}"


async def test_a_change_is_pushed_with_its_place_and_value(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        _, token = await a_reader(world)
        async with watching(world, INSTITUTE, RESEARCH, **{"consistency-token": token}) as events:
            await world.send([111.0], [world.house.clock.now_us()])
            pushed = await events.until(111.0)
    assert pushed["data"]["reported"][GLUCOSE]["quality"] > 50
    assert pushed["id"].partition(":")[0] == str(world.part)


async def test_a_revoked_grant_closes_an_open_stream_within_a_second(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        grant, token = await a_reader(world)
        async with watching(world, INSTITUTE, RESEARCH, **{"consistency-token": token}) as events:
            await world.world.identity.revoke(grant)
            async with asyncio.timeout(1.0):
                ended = await events.next()
                while ended["event"] == "changed":
                    ended = await events.next()
            assert (ended["event"], ended["data"]) == ("end", {"reason": "grant.revoked"})
        async with world.rest(INSTITUTE, RESEARCH) as client:
            again = await client.get(f"/v1/twins/{world.twin}/events")
        assert problem_codes([again]) == [(404, "platform.not_found")]


async def test_a_reader_goes_on_where_it_stood(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        _, token = await a_reader(world)
        now = world.house.clock.now_us()
        async with watching(world, INSTITUTE, RESEARCH, **{"consistency-token": token}) as events:
            await world.send([101.0], [now - 3 * MINUTE_US])
            first = await events.until(101.0)
        await world.send([102.0], [now - 2 * MINUTE_US])
        last = await world.send([103.0], [now - MINUTE_US])
        headers = {"consistency-token": last, "last-event-id": first["id"]}
        async with watching(world, INSTITUTE, RESEARCH, **headers) as events:
            found = [(await events.next())["data"]["reported"][GLUCOSE]["value"] for _ in range(2)]
    assert found == [102.0, 103.0]


async def test_a_reader_that_was_away_too_long_gets_the_state_afresh(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        _, token = await a_reader(world)
        async with watching(world, world.owner, **{"consistency-token": token}) as events:
            for value in (101.0, 102.0):
                await world.send([value], [world.house.clock.now_us()])
                await events.until(value)
    async with (
        twin_world(tmp_path) as world,
        watching(world, world.owner, **{"last-event-id": f"{world.part}:0"}) as events,
    ):
        afresh = await events.next()
    assert afresh["event"] == "resync"
    assert afresh["data"]["reported"][GLUCOSE]["value"] == 102.0


async def test_who_may_not_watch_is_told_nothing(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        _, token = await a_reader(world, paths=["features/insulin/**"])
        heard = {"consistency-token": token}
        answers = []
        for signer, purpose in ((INSTITUTE, RESEARCH), (INSTITUTE, ""), (STRANGER, RESEARCH)):
            async with world.rest(signer, purpose) as client:
                answers.append(await client.get(f"/v1/twins/{world.twin}/events", headers=heard))
                answers.append(await client.get(f"/v1/twins/{world.twin}", headers=heard))
                query = {"property": GLUCOSE}
                answers.append(await client.get(f"/v1/twins/{world.twin}/history", params=query, headers=heard))
    assert problem_codes(answers) == [(404, "platform.not_found")] * 9


async def test_grpc_says_what_rest_says(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        grant, token = await a_reader(world)
        async with world.world.peer(INSTITUTE, "twin-state", RESEARCH) as peer:
            stub = TwinStateStub(peer.channel)
            found = await stub.GetTwin(GetTwinRequest(twin=world.twin, consistency_token=token))
            assert [(each.property, each.value.number) for each in found.reported] == [(GLUCOSE, 100.0)]
            past = await HistoryStub(peer.channel).Range(
                RangeRequest(twin=world.twin, property=GLUCOSE, consistency_token=token)
            )
            assert (len(past.times_us), len(past.values), past.unit) == (8, 8, "mg/dL")
            watched = stub.Watch(WatchRequest(twin=world.twin)).__aiter__()
            upcoming = asyncio.ensure_future(anext(watched))
            pushed = None
            while pushed is None:
                await world.send([120.0], [world.house.clock.now_us()])
                done, _ = await asyncio.wait([upcoming], timeout=0.2)
                pushed = upcoming.result() if done else None
            assert pushed.reported[0].value.number == 120.0
            await world.world.identity.revoke(grant)
            with pytest.raises(Problem, match=r"platform\.not_found"):
                await _to_the_end(watched)


async def _to_the_end(watched: AsyncIterator[Any]) -> None:
    async with asyncio.timeout(3):
        async for _ in watched:
            pass
