"""The worker goes on through stores that fall back, owners that come between, and records that nobody can read."""

import asyncio
from pathlib import Path

import httpx
import pytest
from didymos_contracts.topics import READINGS, TWIN_WRITE
from didymos_did import Did, TwinId
from didymos_kit.eventlog import Record, envelope
from didymos_kit.eventlog.partition import partition_of
from didymos_kit.hot import Script
from didymos_kit.service import Stopping
from didymos_testing.did import a_signer
from didymos_testing.house import a_house, served
from didymos_testing.twin_world import GLUCOSE, TwinWorld, twin_world
from didymos_twin_state.adapters.history import SqlHistory
from didymos_twin_state.adapters.hot import HotStore
from didymos_twin_state.bootstrap import bootstrap
from didymos_twin_state.settings import TwinStateSettings
from sqlalchemy import text

WIPE = Script("redis.call('FLUSHALL')")
MINUTE_US = 60_000_000


async def value(client: httpx.AsyncClient, world: TwinWorld, token: str) -> float:
    answer = await client.get(f"/v1/twins/{world.twin}", headers={"consistency-token": token})
    assert answer.status_code == 200, answer.text
    found: float = answer.json()["reported"][GLUCOSE]["value"]
    return found


async def counted(client: httpx.AsyncClient, world: TwinWorld, token: str) -> int:
    query = {"property": GLUCOSE, "limit": "10000"}
    answer = await client.get(f"/v1/twins/{world.twin}/history", params=query, headers={"consistency-token": token})
    return len(answer.json()["t"])


async def test_a_wiped_hot_store_is_filled_again(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        now = world.house.clock.now_us()
        first = await world.send([100.0], [now - 3 * MINUTE_US])
        assert await counted(client, world, first) == 1
        for minute in (2, 1):
            await world.house.hot.run(WIPE, ["x"], [])
            token = await world.send([100.0 + minute], [now - minute * MINUTE_US])
            assert await value(client, world, token) == 100.0 + minute
        assert await counted(client, world, token) == 3


async def test_another_owner_takes_the_partition_and_this_one_takes_it_back(tmp_path: Path) -> None:
    """A claim from outside stands for a worker that a paused one mistakes for dead."""
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        now = world.house.clock.now_us()
        assert await value(client, world, await world.send([100.0], [now - 2 * MINUTE_US])) == 100.0
        async with world.house.database("twin-state") as database:
            claimed = await SqlHistory(database).claim(world.part, "somebody else")
        await HotStore(world.house.hot).claim(world.part, claimed.epoch)
        token = await world.send([101.0], [now - MINUTE_US])
        assert await value(client, world, token) == 101.0
        assert await counted(client, world, token) == 2


async def test_a_database_behind_the_hot_store_catches_up_by_claims(tmp_path: Path) -> None:
    """A restored backup: its epochs are lower than those that Redis has seen."""
    async with a_house(tmp_path) as house:
        part = partition_of(TwinId(a_signer("twin self").did).encode(), 64)
        await HotStore(house.hot).claim(part, 4)
        async with (
            bootstrap(TwinStateSettings(wait_seconds=30), house) as service,
            served(house, service) as running,
        ):
            world = TwinWorld(running)
            await world.create()
            token = await world.send([100.0], [house.clock.now_us()])
            async with world.rest(world.owner) as client:
                assert await value(client, world, token) == 100.0


async def test_workers_that_come_and_go_apply_each_reading_once(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        people = [TwinWorld(world.world, f"person {number}") for number in range(6)]
        for person in people:
            await person.create()
        now, tokens = world.house.clock.now_us(), list[str]()

        async def ingest(round_: int) -> None:
            for person in people:
                batch = person.batch([100.0 + round_], [now - (20 - round_) * MINUTE_US])
                tokens.append(await person.append(batch, batch))

        for round_ in range(0, 9, 3):
            await ingest(round_)
            settings, leaving = TwinStateSettings(role="worker", member=f"other {round_}"), Stopping()
            async with bootstrap(settings, world.house) as other, asyncio.TaskGroup() as loops:
                loops.create_task(other.loops[0](leaving))
                await ingest(round_ + 1)
                for person in people:  # whoever owns the partition now has applied it
                    async with person.rest(person.owner) as client:
                        assert await value(client, person, ",".join(tokens)) == 100.0 + round_ + 1
                leaving.set()
            await ingest(round_ + 2)
        for person in people:
            async with person.rest(person.owner) as client:
                assert await value(client, person, ",".join(tokens)) == 108.0
                assert await counted(client, person, ",".join(tokens)) == 9
        async with world.house.database("twin-state") as database, database.read() as connection:
            assert await connection.scalar(text("select count(*) from reading_parcel")) == 6 * 9


async def test_what_nobody_can_read_is_kept_aside_and_passed(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        headers = envelope.build(
            envelope.Envelope("bad", "didymos://test/ingestion", "didymos.test.Bad", world.house.clock.now())
        )
        bad = [
            Record(topic, world.twin.encode(), b"\xff\xff\xff", headers, 1)
            for topic in (READINGS.name, TWIN_WRITE.name)
        ]
        async with world.house.event_log.writer("test") as writer:
            await writer.append(bad)
        token = await world.send([100.0], [world.house.clock.now_us()])
        assert await value(client, world, token) == 100.0
        ends = await world.house.event_log.ends(["didymos.dead.v1"])  # type: ignore[list-item] # a Topic
        dead = world.house.metrics.sample("didymos_log_dead_letters_total", topic=READINGS.name)
    assert (sum(ends.values()), dead) == (2, 1.0)


async def test_a_twin_that_is_watched_lives_in_one_process_of_each_role(tmp_path: Path) -> None:
    """`worker` applies, `api` answers, `forecaster` forecasts: what each leaves out is not there."""
    async with (
        a_house(tmp_path) as house,
        bootstrap(TwinStateSettings(role="worker"), house) as worker,
        bootstrap(TwinStateSettings(role="api"), house) as api,
        bootstrap(TwinStateSettings(role="forecaster"), house) as forecaster,
        bootstrap(TwinStateSettings(role="live"), house) as live,
    ):
        assert (worker.routers, len(worker.loops)) == ((), 3)
        paths = [
            {str(getattr(route, "path", "")) for r in each.routers for route in r.routes}
            for each in (api, live, forecaster)
        ]
        assert "/v1/twins/{twin_id}/events" in paths[1] - paths[0]
        assert "/v1/twins/{twin_id}/forecast" in paths[2] - paths[0] - paths[1]
        async with served(house, worker) as world:
            assert world.house.identity.owner_of(TwinWorld(world).twin) is None


@pytest.mark.parametrize("path", ["/desired", "/relations", "/history?property=glucose/level", "/forecast?property=x"])
async def test_no_route_answers_without_a_token(tmp_path: Path, path: str) -> None:
    async with twin_world(tmp_path) as world, httpx.AsyncClient(base_url=f"{world.house.origin}/twin-state") as client:
        answer = await client.get(f"/v1/twins/{Did(world.twin)}{path}")
    assert (answer.status_code, answer.json()["code"]) == (401, "platform.unauthenticated")
