"""Live changes of many twins over one stream: SSE and WebSocket, tickets, resume, coalescing, and what ends it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from didymos_contracts.topics import TWIN_CHANGED
from didymos_did import Ed25519Signer
from didymos_kit.eventlog import Stored
from didymos_testing.did import INSTITUTE, RESEARCH, STRANGER, a_read_terms
from didymos_testing.kit import problem_codes
from didymos_testing.sockets import Socket, a_socket, refusal
from didymos_testing.twin_world import GLUCOSE, TwinWorld, twin_world
from didymos_twin_state.adapters.changes import QUEUE, Subscription
from websockets.exceptions import InvalidStatus

MINUTE_US = 60_000_000


@asynccontextmanager
async def two_twins(folder: Path) -> AsyncIterator[tuple[TwinWorld, TwinWorld, list[Any], str]]:
    """Both granted to the institute, each with a first reading; the grants, and a token of all that."""
    async with twin_world(folder) as one:
        two = TwinWorld(one.world, "other twin")
        grants, tokens = [], []
        for number, world in enumerate((one, two), start=1):
            await world.create()
            tokens.append(await world.send([100.0], [world.house.clock.now_us() - 10 * MINUTE_US]))
            grant, consent = await world.grant(INSTITUTE, a_read_terms(), number)
            grants.append(grant)
            tokens.append(consent)
        yield one, two, grants, ",".join(tokens)


async def a_ticket(world: TwinWorld, signer: Ed25519Signer = INSTITUTE, purpose: str = RESEARCH) -> str:
    async with world.rest(signer, purpose) as client:
        made = await client.post("/v1/streams")
    assert made.status_code == 201, made.text
    assert made.json()["expires_in"] == 30
    return str(made.json()["ticket"])


def live_url(world: TwinWorld, *twins: TwinWorld, **said: str) -> str:
    query = urlencode({"twins": ",".join(each.twin for each in twins), **said})
    return f"{world.house.origin.replace('http', 'ws')}/twin-state/v1/live?{query}"


@asynccontextmanager
async def watching(world: TwinWorld, *twins: TwinWorld, token: str = "", **said: str) -> AsyncIterator[Socket]:
    ticket = await a_ticket(world)
    prove = {"consistency-token": token} if token else {}
    async with a_socket(live_url(world, *twins, ticket=ticket, **said), lambda _nonce: prove) as socket:
        yield socket


async def value(socket: Socket, world: TwinWorld, wanted: float) -> dict[str, Any]:
    while True:
        said = await socket.until("changed")
        data = said["data"]
        if data["twin"] == world.twin and data["reported"][GLUCOSE]["value"] == wanted:
            return said


async def test_one_socket_brings_the_changes_of_two_twins_and_goes_on_where_it_stood(tmp_path: Path) -> None:
    async with two_twins(tmp_path) as (one, two, _, token):
        now = one.house.clock.now_us()
        async with watching(one, one, two, token=token) as socket:
            await one.send([111.0], [now - 3 * MINUTE_US])
            await value(socket, one, 111.0)
            await two.send([112.0], [now - 3 * MINUTE_US])
            seen = await value(socket, two, 112.0)
        assert len(seen["id"].split(",")) == len({one.part, two.part})
        tokens = [await one.send([113.0], [now - MINUTE_US]), await two.send([114.0], [now - MINUTE_US])]
        async with watching(one, one, two, token=",".join(tokens), after=seen["id"]) as socket:
            found = [await socket.next() for _ in range(2)]
        shown = {each["data"]["twin"]: each["data"]["reported"][GLUCOSE]["value"] for each in found}
        assert [each["event"] for each in found] == ["changed", "changed"]
        assert shown == {one.twin: 113.0, two.twin: 114.0}


async def test_a_revoked_twin_is_gone_and_with_the_last_the_socket_closes(tmp_path: Path) -> None:
    async with two_twins(tmp_path) as (one, two, grants, token), watching(one, one, two, token=token) as socket:
        await one.world.identity.revoke(grants[0])
        async with asyncio.timeout(10):
            said = await socket.until("gone")
        assert said["data"] == {"twin": one.twin, "reason": "grant.revoked"}
        await one.send([150.0], [one.house.clock.now_us()])
        await two.send([151.0], [two.house.clock.now_us()])
        assert (await value(socket, two, 151.0))["data"]["twin"] == two.twin
        await one.world.identity.revoke(grants[1])
        async with asyncio.timeout(10):
            assert await socket.closed() == (4403, "grant.revoked")


async def test_a_ticket_is_good_once_and_only_for_what_its_holder_may_see(tmp_path: Path) -> None:
    async with two_twins(tmp_path) as (one, two, _, token):
        ticket = await a_ticket(one)
        async with a_socket(live_url(one, one, ticket=ticket), lambda _nonce: {"consistency-token": token}):
            pass
        refused = []
        for url in (
            live_url(one, one, ticket=ticket),
            live_url(one, one, ticket=("y" if ticket[0] == "x" else "x") + ticket[1:]),
            live_url(one, one, two, ticket=await a_ticket(one, STRANGER)),
            live_url(one, one),
            live_url(one, ticket=await a_ticket(one)),
            live_url(one, one, ticket=await a_ticket(one), filter="all"),
            live_url(one, ticket=await a_ticket(one)) + "&twins=a",
            live_url(one, ticket=await a_ticket(one)).replace("twins=", "twins=a%00b"),
            live_url(one, ticket=await a_ticket(one)).replace("twins=", "twins=%ff%ed%a0%80"),
        ):
            with pytest.raises(InvalidStatus) as raised:
                async with a_socket(url):
                    pass
            refused.append(refusal(raised.value))
    assert refused == [
        (401, "auth.replayed"),
        (401, "platform.unauthenticated"),
        (404, "platform.not_found"),
        (401, "platform.unauthenticated"),
        (422, "platform.invalid_field"),
        (422, "platform.unknown_field"),
        (422, "platform.unknown_field"),
        (400, "platform.malformed"),
        (404, "platform.not_found"),
    ]


async def test_a_browser_reads_many_twins_over_sse_with_a_ticket(tmp_path: Path) -> None:
    async with two_twins(tmp_path) as (one, two, _, token):
        asked = {"twins": f"{one.twin},{two.twin}", "ticket": await a_ticket(one), "after": "0:0"}
        async with (
            httpx.AsyncClient(base_url=one.house.origin, timeout=20) as client,
            client.stream("GET", "/twin-state/v1/events", params=asked, headers={"consistency-token": token}) as answer,
        ):
            assert answer.status_code == 200
            found = []
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    found.append(json.loads(line[6:]))
                if len(found) == 2:
                    break
        assert {each["twin"] for each in found} == {one.twin, two.twin}
        assert all(each["reported"][GLUCOSE]["value"] == 100.0 for each in found)
        async with one.rest(STRANGER) as stranger, one.rest(INSTITUTE, RESEARCH) as reader:
            many = ",".join(f"did:key:z{number}" for number in range(65))
            answers = [
                await stranger.get("/v1/events", params={"twins": one.twin}),
                await reader.get("/v1/events", params={"twins": many}),
                await client_without_token(one),
            ]
        assert problem_codes(answers) == [
            (404, "platform.not_found"),
            (422, "platform.invalid_field"),
            (401, "platform.unauthenticated"),
        ]


async def client_without_token(world: TwinWorld) -> httpx.Response:
    async with httpx.AsyncClient(base_url=world.house.origin) as client:
        return await client.get("/twin-state/v1/events", params={"twins": world.twin})


async def test_what_waits_comes_as_one_change_when_a_reader_coalesces(tmp_path: Path) -> None:
    """The changes are there before it reads: it gets the latest only, under the id of the last."""
    async with two_twins(tmp_path) as (one, _, _, token):
        now = one.house.clock.now_us()
        async with watching(one, one, token=token) as socket:
            await one.send([101.0], [now - 9 * MINUTE_US])
            first = await value(socket, one, 101.0)
            for number in range(2, 7):
                last = await one.send([100.0 + number], [now - (10 - number) * MINUTE_US])
            newest = await value(socket, one, 106.0)
        async with watching(one, one, token=last, after=first["id"], coalesce="true") as socket:
            said = await socket.next()
        assert (said["event"], said["id"]) == ("changed", newest["id"])
        assert said["data"]["reported"][GLUCOSE]["value"] == 106.0


def a_record(offset: int, key: str = "did:key:zTwin", size: int = 10) -> Stored:
    return Stored(TWIN_CHANGED.name, key.encode(), bytes(size), {}, 0, 3, offset)


@pytest.mark.parametrize(("count", "size"), [(QUEUE + 1, 10), (3, 400_000)])
async def test_a_reader_that_takes_nothing_lags_by_number_or_by_size(count: int, size: int) -> None:
    slow = Subscription()
    for offset in range(count):
        slow.put(a_record(offset, size=size))
    taken = 0
    while await slow.take() is not None:
        taken += 1
    assert slow.lagged
    assert taken == count - 1


@pytest.mark.parametrize(("count", "size"), [(QUEUE + 1, 10), (3, 400_000)])
async def test_a_slow_reader_that_coalesces_takes_the_state_afresh_and_goes_on(count: int, size: int) -> None:
    slow = Subscription(coalesce=True)
    for offset in range(count):
        slow.put(a_record(offset, size=size))
    assert await slow.take() == []
    assert slow.afresh == {"did:key:zTwin"}
    assert slow.place == f"3:{count - 1}"
    slow.afresh.clear()
    slow.put(a_record(count))
    assert [record.offset for record in await slow.take() or ()] == [count]
    assert not slow.lagged
