"""What a use case changes and what it publishes: together, in order, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from didymos.identity.v1.identity_events_pb2 import SubjectChanged
from didymos_contracts.topics import IDENTITY
from didymos_kit.clock import SystemClock
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.outbox import TABLES
from didymos_kit.database.relay import Relay, token_of
from didymos_kit.database.unit_of_work import Stamp, Transaction
from didymos_kit.dispatch import Dispatcher
from didymos_kit.eventlog import Position, Stored
from didymos_kit.eventlog.envelope import event_id
from didymos_kit.eventlog.sqlite import SqliteLog
from didymos_kit.ids import OrderedIds
from didymos_kit.service import Stopping

CLOCK = SystemClock()


@dataclass
class Desk:
    """A database, its relay and a dispatcher whose work is the transaction itself."""

    database: Database
    relay: Relay
    dispatch: Dispatcher[Transaction]
    event_log: SqliteLog
    stopping: Stopping

    async def say(self, did: str, revision: int) -> str:
        async def use_case(tx: Transaction) -> None:
            tx.publish_event(SubjectChanged(did=did, revision=revision), key=did)

        return (await self.dispatch(use_case)).token


def itself(tx: Transaction) -> Transaction:
    return tx


@asynccontextmanager
async def a_desk(folder: Path, *, relays: bool = True) -> AsyncIterator[Desk]:
    engine = sqlite_engine(folder / "desk.db")
    async with engine.begin() as connection:
        await connection.run_sync(TABLES.outbox.metadata.create_all)
    stamp = Stamp("didymos://test/desk", CLOCK, OrderedIds(CLOCK))
    async with SqliteLog(folder / "log.db") as event_log, Database(engine, "identity", stamp) as database:
        await event_log.ensure([IDENTITY])
        relay, stopping = Relay(database, event_log, CLOCK), Stopping()
        desk = Desk(database, relay, Dispatcher(database, itself, relay, 5.0), event_log, stopping)
        running = asyncio.create_task(relay.run(stopping)) if relays else None
        try:
            yield desk
        finally:
            stopping.set()
            relay.wake()
            if running is not None:
                await running


async def published(log: SqliteLog) -> list[Stored]:
    found: list[Stored] = []
    async with log.tail(IDENTITY.name, found.append) as tail:
        await tail.ready()
    return found


async def test_a_use_case_answers_with_the_place_of_its_event(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        tokens = [await desk.say("did:key:a", number) for number in (1, 2)]
        records = await published(desk.event_log)
        assert tokens == [f"i{record.position}" for record in records]
        assert [SubjectChanged.FromString(record.value or b"").revision for record in records] == [1, 2]


async def test_what_is_rolled_back_is_not_published(tmp_path: Path) -> None:
    async def fails(tx: Transaction) -> None:
        tx.publish_event(SubjectChanged(did="did:key:a"), key="a")
        raise ValueError("no")

    async with a_desk(tmp_path) as desk:
        with pytest.raises(ValueError, match="no"):
            await desk.dispatch(fails)
        await desk.say("did:key:b", 1)
        assert len(await published(desk.event_log)) == 1


async def test_without_a_relay_the_answer_says_that_the_place_is_not_known(tmp_path: Path) -> None:
    async with a_desk(tmp_path, relays=False) as desk:
        desk.dispatch = Dispatcher(desk.database, itself, desk.relay, 0.05)

        async def use_case(tx: Transaction) -> int:
            tx.publish_event(SubjectChanged(did="did:key:a"), key="a")
            return 7

        done = await desk.dispatch(use_case)
        assert (done.value, done.token, done.placed) == (7, "", False)
        assert desk.relay.idle_since() is None


async def test_what_waits_at_a_start_is_relayed_first(tmp_path: Path) -> None:
    async with a_desk(tmp_path, relays=False) as desk:
        desk.dispatch = Dispatcher(desk.database, itself, desk.relay, 0.0)
        await desk.say("did:key:a", 1)
    async with a_desk(tmp_path) as desk:
        await desk.say("did:key:a", 2)
        revisions = [SubjectChanged.FromString(each.value or b"").revision for each in await published(desk.event_log)]
        assert revisions == [1, 2]


async def test_eight_writers_of_one_key_are_in_the_log_in_the_order_of_their_commits(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        async with asyncio.TaskGroup() as writers:
            for number in range(8):
                writers.create_task(desk.say("did:key:a", number))
        records = await published(desk.event_log)
        assert len({event_id(record.headers) for record in records}) == 8
        ids = [event_id(record.headers)[1] for record in records]
        assert ids == sorted(ids)  # ids grow with the commits: SQLite has one writer at a time


def test_a_token_says_the_last_place_of_each_partition() -> None:
    places = [Position(IDENTITY.name, 3, 1), Position(IDENTITY.name, 3, 7), Position(IDENTITY.name, 1, 2)]
    assert token_of(places) == "i1:2,i3:7"
    assert token_of([]) == ""
