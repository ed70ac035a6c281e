"""What stewards propose passes only inside the bounds that the owner signed; erasure leaves nothing to read."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
from didymos.twin.v1 import twin_events_pb2 as events
from didymos.twin.v1 import twin_types_pb2 as types
from didymos_contracts.topics import TWIN_CHANGED, TWIN_COMMAND
from didymos_did import Ed25519Signer, bounds_terms
from didymos_kit.database.engine import Database
from didymos_kit.eventlog import Record, Stored, envelope
from didymos_testing.did import INSTITUTE, PERSONAL, STRANGER, a_read_terms, a_signer
from didymos_testing.kit import problem_codes
from didymos_testing.twin_world import GLUCOSE, TwinWorld, twin_world
from sqlalchemy import text

TARGET = "glucose/target"
DAY_US = 86_400_000_000
SEALED = ("reading_parcel", "twin_snapshot", "series", "rollup")
STEWARD = a_signer("steward")


def window(world: TwinWorld) -> tuple[datetime, datetime]:
    now = world.house.clock.now()
    return (now - timedelta(days=1), now + timedelta(days=30))


async def propose(
    world: TwinWorld, value: float, grant: str, *, actor: Ed25519Signer = STEWARD, name: str = TARGET,
    expires_at_us: int = 0, command_id: bytes = b"",
) -> bytes:  # fmt: skip
    said = events.CommandProposed(
        command_id=command_id or uuid4().bytes, twin=world.twin, actor=actor.did, property=name,
        value=types.Value(number=value), unit="mg/dL", grant_id=grant, expires_at_us=expires_at_us,
    )  # fmt: skip
    headers = envelope.build(
        envelope.Envelope(
            uuid4().hex, "didymos://test/steward", said.DESCRIPTOR.full_name, world.house.clock.now(), world.twin
        )
    )
    record = Record(TWIN_COMMAND.name, world.twin.encode(), said.SerializeToString(), headers, 1)
    async with world.house.event_log.writer("test.steward") as writer:
        await writer.append([record, record])  # at least once: it comes twice
    return said.command_id


async def carried_out(client: httpx.AsyncClient, world: TwinWorld) -> httpx.Response:
    """The twin, once it has a desired value."""
    async with asyncio.timeout(20):
        while True:
            answer = await client.get(f"/v1/twins/{world.twin}")
            if TARGET in answer.json()["desired"]:
                return answer


class Refusals:
    """CommandRefused by id, from the topic of changes."""

    def __init__(self) -> None:
        self.by_id: dict[bytes, tuple[str, str]] = {}
        self._came = asyncio.Event()

    def apply(self, record: Stored) -> None:
        if envelope.event_type(record.headers).endswith("CommandRefused"):
            said = events.CommandRefused.FromString(record.value or b"")
            self.by_id[said.command_id] = (said.code, said.detail)
            self._came.set()

    async def of(self, command: bytes) -> tuple[str, str]:
        """Why it was refused, once that was said."""
        async with asyncio.timeout(20):
            while command not in self.by_id:
                self._came.clear()
                await self._came.wait()
        return self.by_id[command]


async def test_a_command_within_the_bounds_is_carried_out_once(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        terms = bounds_terms(["features/glucose/target"], (80, 120), 5, 10, PERSONAL, window(world))
        grant, token = await world.grant(STEWARD, terms)
        await world.house.wait(token)
        await propose(world, 100.0, grant.id)
        answer = await carried_out(client, world)
        shown = answer.json()["desired"]
        assert (shown[TARGET]["value"], shown[TARGET]["grant"], shown[TARGET]["actor"]) == (
            100.0,
            grant.id,
            STEWARD.did,
        )
        assert answer.json()["revision"] == 2


async def test_a_command_beyond_the_bounds_is_refused_and_said_why(tmp_path: Path) -> None:
    heard = Refusals()
    async with (
        twin_world(tmp_path) as world,
        world.house.event_log.tail(TWIN_CHANGED.name, heard.apply),
        world.rest(world.owner) as client,
    ):
        await world.create()
        terms = bounds_terms(["features/glucose/target"], (80, 120), 2, 10, PERSONAL, window(world))
        grant, token = await world.grant(STEWARD, terms)
        await world.house.wait(token)
        wrong = [
            await propose(world, 130.0, grant.id),
            await propose(world, 100.0, grant.id, actor=STRANGER),
            await propose(world, 100.0, grant.id, name="insulin/bolus"),
            await propose(world, 100.0, grant.id, expires_at_us=1),
            await propose(world, 100.0, "urn:uuid:01930000-0000-7000-8000-0000000000ff"),
        ]
        for value in (90.0, 91.0):
            await propose(world, value, grant.id)
        too_often = await propose(world, 92.0, grant.id)
        await heard.of(too_often)
        revision = (await client.get(f"/v1/twins/{world.twin}")).json()["revision"]
        revoked = await world.world.identity.revoke(grant)
        await world.house.wait(revoked)
        after = await propose(world, 100.0, grant.id)
        await heard.of(after)
    assert [heard.by_id[each] for each in [*wrong, too_often, after]] == [
        ("command.not_allowed", "constraint_failed:value-range"), ("command.not_allowed", "no_grant"),
        ("command.not_allowed", "path_not_granted"), ("command.expired", "the proposal expired"),
        ("command.not_allowed", "no_grant"), ("command.not_allowed", "constraint_failed:max-rate"),
        ("command.not_allowed", "grant_revoked"),
    ]  # fmt: skip
    assert revision == 3


async def test_a_proposal_is_decided_once_whatever_holds_when_it_comes_again(tmp_path: Path) -> None:
    heard = Refusals()
    async with (
        twin_world(tmp_path) as world,
        world.house.event_log.tail(TWIN_CHANGED.name, heard.apply),
        world.rest(world.owner) as client,
    ):
        await world.create()
        terms = bounds_terms(["features/glucose/target"], (80, 120), 5, 10, PERSONAL, window(world))
        grant, token = await world.grant(STEWARD, terms)
        await world.house.wait(token)
        refused = await propose(world, 130.0, grant.id)
        admitted = await propose(world, 100.0, grant.id)
        first = await heard.of(refused)
        await carried_out(client, world)
        await world.house.wait(await world.world.identity.revoke(grant))
        for value, command_id in ((130.0, refused), (100.0, admitted)):
            await propose(world, value, grant.id, command_id=command_id)
        last = await propose(world, 90.0, grant.id)
        assert await heard.of(last) == ("command.not_allowed", "grant_revoked")
        shown = (await client.get(f"/v1/twins/{world.twin}")).json()
    assert heard.by_id[refused] == first
    assert admitted not in heard.by_id
    assert (shown["desired"][TARGET]["value"], shown["revision"]) == (100.0, 2)


async def test_a_grant_to_read_is_no_bound_of_a_steward(tmp_path: Path) -> None:
    heard = Refusals()
    async with twin_world(tmp_path) as world, world.house.event_log.tail(TWIN_CHANGED.name, heard.apply):
        await world.create()
        grant, token = await world.grant(INSTITUTE, a_read_terms(window=window(world)))
        await world.house.wait(token)
        asked = await propose(world, 100.0, grant.id, actor=INSTITUTE)
        await heard.of(asked)
    assert heard.by_id[asked] == ("command.not_allowed", "action_not_granted")


async def test_an_erased_twin_is_gone_everywhere(tmp_path: Path) -> None:
    async with twin_world(tmp_path, upkeep_seconds=0.05) as world, world.rest(world.owner) as client:
        await world.create()
        token = await world.send([100.0], [world.house.clock.now_us() - 2 * DAY_US])
        path = f"/v1/twins/{world.twin}"
        kept = await client.get(f"{path}/history", params={"property": GLUCOSE}, headers={"consistency-token": token})
        assert kept.json()["v"] == [100.0]
        async with world.house.database("twin-state") as database, asyncio.timeout(20):
            while not await counted(database, "series", "rollup"):  # noqa: ASYNC110 - the upkeep tells nobody
                await asyncio.sleep(0.05)
        await world.house.wait(await world.world.identity.destroy(world.twin))
        gone = [await client.get(path), await client.get(f"{path}/history", params={"property": GLUCOSE})]
        assert problem_codes(gone) == [(404, "platform.not_found")] * 2
        async with world.house.database("twin-state") as database, asyncio.timeout(20):
            while await counted(database, *SEALED):  # noqa: ASYNC110 - neither does a checkpoint
                await asyncio.sleep(0.05)


async def counted(database: Database, *tables: str) -> int:
    async with database.read() as connection:
        counts = [await connection.scalar(text(f"select count(*) from {each}")) for each in tables]  # noqa: S608
    return sum(count or 0 for count in counts)
