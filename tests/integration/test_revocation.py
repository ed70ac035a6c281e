"""From an owner's signed word to a denial in another service, over the real surfaces of both. identity.md section 8."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic

import httpx
import pytest
from didymos_cli.up import program
from didymos_kit.lifecycle import Listen, running
from didymos_testing.did import INSTITUTE, OWNER, RESEARCH, TWIN, a_grant_id, a_read_terms
from didymos_testing.house import World, a_house
from didymos_testing.identity import JSON, a_grant_credential, a_registration, a_revocation, a_window, an_erasure, said

GRANTS = 10
SPAN = {"property": "glucose/level", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with (
        a_house(tmp_path) as house,
        program(house, names=("identity", "twin-state")) as made,
        AsyncExitStack() as stack,
    ):
        rest, rpc = (int(address.rpartition(":")[2]) for address in (house.origin, house.where.rpc))
        process = await stack.enter_async_context(running(made, Listen(rest=rest, grpc=rpc, admin=0)))
        yield World(house, process, None, stack)


async def post(client: httpx.AsyncClient, path: str, body: object) -> dict[str, str]:
    """The header that lets others wait for what this did."""
    sent = {"content": body, "headers": JSON} if isinstance(body, bytes) else {"json": body}
    answer = await client.post(path, **sent)
    assert answer.status_code < 300, answer.text
    return {"consistency-token": answer.headers["consistency-token"]}


async def a_twin(world: World) -> None:
    async with world.rest(OWNER, "identity") as owner, world.rest(OWNER, "twin-state") as states:
        registered = await post(owner, "/v1/twins", a_registration())
        await world.house.wait(registered["consistency-token"])
        written = await post(states, "/v1/twins", {"twin": TWIN.did, "profile": "glucose@1"})
        assert (await states.get(f"/v1/twins/{TWIN.did}", headers=written)).status_code == 200


async def test_a_revocation_denies_within_a_second_and_at_once_to_whom_it_is_told(world: World) -> None:
    await a_twin(world)
    now, seconds = world.house.clock.now(), []
    async with (
        world.rest(OWNER, "identity") as owner,
        world.rest(INSTITUTE, "twin-state", RESEARCH) as reader,
    ):

        async def status(headers: dict[str, str] | None = None) -> int:
            return (await reader.get(f"/v1/twins/{TWIN.did}/history", params=SPAN, headers=headers)).status_code

        for number in range(1, GRANTS + 1):
            terms = a_read_terms(window=a_window(now))
            credential = a_grant_credential(now, number, terms=terms)
            granted = await post(owner, "/v1/grants", credential)
            assert await status(granted) == 200
            revocation = said(a_revocation(credential, now))
            begun = monotonic()
            revoked = await post(owner, f"/v1/grants/{a_grant_id(number)}/revoke", revocation)
            while number % 2 and await status() != 404:
                assert monotonic() - begun < 5
            assert await status(revoked) == 404
            seconds.append(monotonic() - begun)
    assert max(seconds) < 1.0, seconds


async def test_an_erased_twin_is_gone_for_its_reader_and_its_owner(world: World) -> None:
    await a_twin(world)
    now = world.house.clock.now()
    async with world.rest(OWNER, "identity") as owner, world.rest(OWNER, "twin-state") as states:
        erased = await post(owner, f"/v1/twins/{TWIN.did}/erase", said(an_erasure(now)))
        async with asyncio.timeout(5):
            assert (await states.get(f"/v1/twins/{TWIN.did}", headers=erased)).status_code in (404, 410)
