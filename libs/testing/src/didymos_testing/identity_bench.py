"""A bench for identity: its real stores, what was published, and what any database of theirs has to promise."""

# ruff: noqa: S101, ANN401 - tests, bound to a database elsewhere
import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from didymos_did import Did, SubjectStatus, TwinId, parse_device_enrolment, parse_grant
from didymos_identity.adapters.grants import StaleRevisionError
from didymos_identity.adapters.tables import METADATA, VAULT
from didymos_identity.adapters.vault import SqlVault
from didymos_identity.adapters.work import sql_reads, sql_work
from didymos_identity.application.ports import StoredGrant, Work
from didymos_identity.domain.device import Device
from didymos_identity.domain.events import Event
from didymos_identity.domain.subject import Subject, with_status
from didymos_identity.domain.twin import Twin, TwinState, in_state
from didymos_kit.database.engine import Database
from didymos_kit.dispatch import Done
from sqlalchemy import inspect

from didymos_testing.clock import FixedClock
from didymos_testing.did import NOON, OWNER, STRANGER, TWIN, a_grant
from didymos_testing.identity import a_grant_credential, an_enrolment

Value = TypeVar("Value")
MASTER = b"m" * 32


@dataclass
class Bench:
    """`await bench.do(lambda work: ...)` is one transaction; `published` grows with those that committed."""

    database: Database
    vault: SqlVault
    clock: FixedClock
    published: list[Event] = field(default_factory=list)

    async def __call__(self, use_case: Callable[[Work], Awaitable[Value]]) -> Done[Value]:
        told: list[Event] = []
        async with self.database.unit_of_work() as tx:
            work = sql_work(tx)

            def publish(event: Event) -> None:
                told.append(event)
                work.publish(event)

            value = await use_case(replace(work, publish=publish))
        self.published += told
        return Done(value, "", placed=True)

    async def do(self, use_case: Callable[[Work], Awaitable[Value]]) -> Value:
        return (await self(use_case)).value

    async def with_twin(self, owner: Did = OWNER.did, twin: Did = TWIN.did) -> Twin:
        made = Twin(TwinId(twin), owner, NOON)
        await self.do(lambda work: work.twins.add(made))
        return made

    async def twin(self) -> Twin:
        async with self.database.read() as connection:
            return (await sql_reads(connection).twins.find(TwinId(TWIN.did)))[TwinId(TWIN.did)]

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.published]


CREDENTIAL = a_grant_credential()
GRANT = parse_grant(CREDENTIAL)
TWIN_ID, OTHER = TwinId(TWIN.did), TwinId(STRANGER.did)


async def add_one_revision(work: Work) -> None:
    grant = await work.grants.lock(GRANT.id)
    if grant is None:
        raise AssertionError("the grant is not there")
    await work.grants.save(replace(grant, revision=grant.revision + 1), NOON)


class StoresContract:
    """What the stores promise: one writer at a time, the next revision only, the same value back.

    A binding has a fixture `bench` over its database.
    """

    async def test_each_of_eight_writers_at_once_adds_its_revision(self, bench: Any) -> None:
        assert await bench.do(lambda work: work.grants.add(GRANT, CREDENTIAL, NOON))
        async with asyncio.TaskGroup() as writers:
            for _ in range(8):
                writers.create_task(bench.do(add_one_revision))
        found = await bench.do(lambda work: work.grants.find(GRANT.id))
        assert found == StoredGrant(replace(GRANT, revision=9), CREDENTIAL)

    async def test_a_grant_is_stored_once_and_changed_in_order_only(self, bench: Any) -> None:
        assert await bench.do(lambda work: work.grants.add(GRANT, CREDENTIAL, NOON))
        assert not await bench.do(lambda work: work.grants.add(a_grant(), b"{}", NOON))
        for revision in (1, 3):
            with pytest.raises(StaleRevisionError):
                await bench.do(
                    lambda work, revision=revision: work.grants.save(replace(GRANT, revision=revision), NOON)
                )
        assert await bench.do(lambda work: work.grants.find(a_grant(id="urn:uuid:other").id)) is None

    async def test_the_first_of_eight_registrations_holds(self, bench: Any) -> None:
        twin = await bench.with_twin()
        others = [replace(twin, owner=Did(f"did:key:z{number}")) for number in range(8)]
        added = await asyncio.gather(*(bench.do(lambda work, other=other: work.twins.add(other)) for other in others))
        assert (added, await bench.twin()) == ([False] * 8, twin)

    async def test_twins_are_found_by_many_names_and_by_state(self, bench: Any) -> None:
        twin = await bench.with_twin()
        names = [TwinId(f"did:key:z{number}") for number in range(600)]
        assert await bench.do(lambda work: work.twins.find(*names, twin.id)) == {twin.id: twin}
        await bench.do(lambda work: work.twins.save(in_state(twin, TwinState.ERASING)))
        assert await bench.do(lambda work: work.twins.in_state(TwinState.ERASING)) == [TWIN.did]
        assert await bench.do(lambda work: work.twins.owned_by(OWNER.did))

    async def test_a_device_comes_back_as_it_was_saved(self, bench: Any) -> None:
        device = Device(parse_device_enrolment(an_enrolment(aliases=("Patient/17",))), 3, NOON - timedelta(hours=1))
        named = (device.enrolment.device, device.enrolment.twin)
        for saved in (Device(device.enrolment), device):
            await bench.do(lambda work, saved=saved: work.devices.save(saved))
        assert await bench.do(lambda work: work.devices.lock(*named)) == device
        assert await bench.do(lambda work: work.devices.known(OWNER.did)) is False

    async def test_a_subject_comes_back_as_it_was_saved(self, bench: Any) -> None:
        subject = with_status(Subject(OWNER.did, "owner"), SubjectStatus.SUSPENDED)

        async def change(work: Work) -> None:
            assert await work.subjects.lock(OWNER.did) is None
            await work.subjects.save(subject)

        await bench.do(change)
        assert await bench.do(lambda work: work.subjects.lock(OWNER.did)) == subject

    async def test_the_migrations_make_the_tables_that_the_stores_speak_of(self, bench: Any) -> None:
        for database, metadata in ((bench.database, METADATA), (bench.vault._database, VAULT)):
            async with database.engine.connect() as connection:
                made = await connection.run_sync(
                    lambda opened: {
                        table: {column["name"] for column in inspect(opened).get_columns(table)}
                        for table in inspect(opened).get_table_names()
                        if table != "alembic_version"
                    }
                )
            assert made == {name: set(table.columns.keys()) for name, table in metadata.tables.items()}

    async def test_eight_that_ask_at_once_get_one_key(self, bench: Any) -> None:
        given = await asyncio.gather(*(bench.vault.keys([(TWIN_ID, 1), (OTHER, 1)]) for _ in range(8)))
        assert {tuple(key.secret for key in keys) for keys in given} == {tuple(key.secret for key in given[0])}

    async def test_a_destroyed_twin_is_remembered_by_name_also_one_that_never_had_a_key(self, bench: Any) -> None:
        await bench.vault.keys([(TWIN_ID, 1)])
        for twin in (TWIN_ID, OTHER):
            for _ in range(2):
                await bench.vault.destroy(twin, NOON)
        assert await bench.vault.keys([(TWIN_ID, 1), (OTHER, 2)]) == [None, None]

    async def test_destroying_one_twin_leaves_the_keys_of_others(self, bench: Any) -> None:
        (before,) = await bench.vault.keys([(OTHER, 1)])
        await bench.vault.destroy(TWIN_ID, NOON)
        assert await bench.vault.keys([(TWIN_ID, 1), (OTHER, 1)]) == [None, before]

    async def test_a_thousand_keys_are_made_and_found_in_one_question_each(self, bench: Any) -> None:
        names = [(twin, epoch) for twin in (TWIN_ID, OTHER) for epoch in range(500)]
        made = await bench.vault.keys(names)
        assert [(key.twin, key.epoch) for key in made] == names
        assert await bench.vault.keys(names) == made
