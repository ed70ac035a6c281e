"""What a house promises every service, embedded or on servers."""

# ruff: noqa: S101 - a contract is made of tests

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path

from didymos.identity.v1.identity_events_pb2 import SUBJECT_STATUS_SUSPENDED, SubjectChanged
from didymos_contracts.topics import IDENTITY
from didymos_did import (
    AccessRequest,
    Action,
    Budget,
    Did,
    Grant,
    GrantId,
    Reason,
    TwinId,
    decide,
    jcs,
    make_terms,
    parse_grant,
    sign_grant,
)
from didymos_kit.access import SAFE_METHODS
from didymos_kit.database.engine import Database
from didymos_kit.database.outbox import TABLES
from didymos_kit.database.relay import Relay
from didymos_kit.database.unit_of_work import Transaction
from didymos_kit.dispatch import Dispatcher
from didymos_kit.eventlog import Stored
from didymos_kit.hot import Script
from didymos_kit.house import House
from didymos_kit.http.principal import Caller
from didymos_kit.service import Service, Stopping
from fastapi import APIRouter

from didymos_testing.did import RESEARCH, a_signer
from didymos_testing.house import served

OWNER, TWIN, READER = a_signer("owner"), a_signer("twin"), a_signer("reader")
THE_TWIN = TwinId(TWIN.did)
SECONDS = 20


def whoami() -> Service:
    """A service of one route that says who calls."""
    router = APIRouter()

    @router.get("/v1/me")
    async def me(caller: Caller) -> dict[str, str]:
        return {"did": caller.did, "purpose": caller.purpose or ""}

    return Service("steward", (router,))


def a_reading_grant(house: House) -> Grant:
    now = house.clock.now()
    window = (now - timedelta(minutes=1), now + timedelta(days=1))
    terms = make_terms([Action.READ], ["features/**"], [RESEARCH], window, budget=Budget(reads=10))
    grant_id = GrantId(f"urn:uuid:{house.ids.uuid7()}")
    return parse_grant(jcs(sign_grant(grant_id, READER.did, THE_TWIN, terms, OWNER, now)))


def may_read(house: House, actor: Did = READER.did) -> Reason:
    request = AccessRequest(actor, Action.READ, THE_TWIN, ("features/glucose/level",), RESEARCH)
    return decide(request, house.facts(THE_TWIN), house.clock.now()).reason


class HouseContract:
    """A binding gives `make_house`, which opens a new house, and `make_desk`: a database with the tables of the kit."""

    @staticmethod
    def make_house(folder: Path) -> AbstractAsyncContextManager[House]:
        raise NotImplementedError

    @staticmethod
    def make_desk(house: House, folder: Path) -> AbstractAsyncContextManager[Database]:
        raise NotImplementedError

    async def test_a_caller_is_known_by_a_token_that_was_exchanged(self, tmp_path: Path) -> None:
        async with self.make_house(tmp_path) as house, served(house, whoami()) as world:
            async with world.rest(READER, "steward", RESEARCH) as client:
                for _ in SAFE_METHODS:
                    assert (await client.get("/v1/me")).json() == {"did": READER.did, "purpose": RESEARCH}
            async with world.rest(None, "steward") as nobody:
                assert (await nobody.get("/v1/me")).status_code == 401

    async def test_a_grant_opens_what_its_token_waited_for_and_its_end_closes_it(self, tmp_path: Path) -> None:
        async with self.make_house(tmp_path) as house, served(house, whoami()) as world:
            assert may_read(house) is Reason.TWIN_UNKNOWN
            await house.wait(await world.identity.register(THE_TWIN, OWNER.did), SECONDS)
            async with house.consent.changes(THE_TWIN) as changes:
                grant = a_reading_grant(house)
                await house.wait(await world.identity.grant(grant), SECONDS)
                async with asyncio.timeout(SECONDS):
                    await changes.wait()
                    await house.consent.until_fresh()
                assert may_read(house) is Reason.GRANT
                await house.wait(await world.identity.revoke(grant), SECONDS)
                async with asyncio.timeout(SECONDS):
                    await changes.wait()
            assert may_read(house) is Reason.GRANT_REVOKED

    async def test_a_use_case_answers_with_a_place_that_a_tail_can_wait_for(self, tmp_path: Path) -> None:
        async def use_case(tx: Transaction) -> None:
            tx.publish_event(SubjectChanged(did=READER.did, status=SUBJECT_STATUS_SUSPENDED, revision=1), "subject")

        async with a_dispatcher(self, tmp_path) as (house, dispatch):
            done = await dispatch(use_case)
            assert done.placed
            await house.wait(done.token, SECONDS)
            assert house.identity.suspended(READER.did)

    async def test_events_of_one_key_come_in_the_order_of_their_transactions(self, tmp_path: Path) -> None:
        async with a_dispatcher(self, tmp_path) as (house, dispatch):
            for number in range(20):

                async def use_case(tx: Transaction, revision: int = number) -> None:
                    tx.publish_event(SubjectChanged(did=READER.did, revision=revision), "subject")

                await dispatch(use_case)
            found: list[Stored] = []
            async with house.event_log.tail(IDENTITY.name, found.append) as tail, asyncio.timeout(SECONDS):
                await tail.ready()
            revisions = [
                SubjectChanged.FromString(each.value or b"").revision for each in found if each.key == b"subject"
            ]
            assert revisions == list(range(20))

    async def test_a_script_runs_in_the_hot_store_and_a_listener_hears_of_it(self, tmp_path: Path) -> None:
        script = Script(
            "redis.call('SET', KEYS[1], ARGV[1]) redis.call('PUBLISH', ARGV[2], 'r') return redis.call('GET', KEYS[1])"
        )
        async with self.make_house(tmp_path) as house, house.hot.listen([f"at:{tmp_path.name}"]) as listener:
            assert await house.hot.run(script, ["{a}:b"], [b"v", f"at:{tmp_path.name}"]) == b"v"
            assert await listener.next(SECONDS) == (f"at:{tmp_path.name}", b"r")


def _itself(tx: Transaction) -> Transaction:
    return tx


@asynccontextmanager
async def a_dispatcher(contract: HouseContract, folder: Path) -> AsyncIterator[tuple[House, Dispatcher[Transaction]]]:
    async with contract.make_house(folder) as house, contract.make_desk(house, folder) as database:
        relay, stopping = Relay(database, house.event_log, house.clock, house.metrics), Stopping()
        running = asyncio.create_task(relay.run(stopping))
        try:
            yield house, Dispatcher(database, _itself, relay, SECONDS)
        finally:
            stopping.set()
            relay.wake()
            await running


async def make_tables(database: Database) -> None:
    """The tables of the kit, in a database that no migration made."""
    async with database.engine.begin() as connection:
        await connection.run_sync(TABLES.outbox.metadata.create_all)
