"""What the stores promise: one writer at a time, the next revision only, the same value back."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from didymos_did import SubjectStatus, TwinId, parse_device_enrolment, parse_grant
from didymos_identity.adapters.grants import StaleRevisionError
from didymos_identity.adapters.tables import METADATA, VAULT
from didymos_identity.application.ports import StoredGrant, Work
from didymos_identity.domain.device import Device
from didymos_identity.domain.subject import Subject, with_status
from didymos_identity.domain.twin import TwinState, in_state
from didymos_testing.did import NOON, OWNER, TWIN, a_grant
from didymos_testing.identity import a_grant_credential, an_enrolment
from sqlalchemy import inspect

CREDENTIAL = a_grant_credential()
GRANT = parse_grant(CREDENTIAL)


async def add_one_revision(work: Work) -> None:
    grant = await work.grants.lock(GRANT.id)
    assert grant is not None
    await work.grants.save(replace(grant, revision=grant.revision + 1), NOON)


async def test_each_of_eight_writers_at_once_adds_its_revision(bench: Any) -> None:
    assert await bench.do(lambda work: work.grants.add(GRANT, CREDENTIAL, NOON))
    async with asyncio.TaskGroup() as writers:
        for _ in range(8):
            writers.create_task(bench.do(add_one_revision))
    found = await bench.do(lambda work: work.grants.find(GRANT.id))
    assert found == StoredGrant(replace(GRANT, revision=9), CREDENTIAL)


async def test_a_grant_is_stored_once_and_changed_in_order_only(bench: Any) -> None:
    assert await bench.do(lambda work: work.grants.add(GRANT, CREDENTIAL, NOON))
    assert not await bench.do(lambda work: work.grants.add(a_grant(), b"{}", NOON))
    for revision in (1, 3):
        with pytest.raises(StaleRevisionError):
            await bench.do(lambda work, revision=revision: work.grants.save(replace(GRANT, revision=revision), NOON))
    assert await bench.do(lambda work: work.grants.find(a_grant(id="urn:uuid:other").id)) is None


async def test_the_first_of_eight_registrations_holds(bench: Any) -> None:
    twin = await bench.with_twin()
    others = [replace(twin, owner=f"did:key:z{number}") for number in range(8)]
    added = await asyncio.gather(*(bench.do(lambda work, other=other: work.twins.add(other)) for other in others))
    assert (added, await bench.twin()) == ([False] * 8, twin)


async def test_twins_are_found_by_many_names_and_by_state(bench: Any) -> None:
    twin = await bench.with_twin()
    names = [TwinId(f"did:key:z{number}") for number in range(600)]
    assert await bench.do(lambda work: work.twins.find(*names, twin.id)) == {twin.id: twin}
    await bench.do(lambda work: work.twins.save(in_state(twin, TwinState.ERASING)))
    assert await bench.do(lambda work: work.twins.in_state(TwinState.ERASING)) == [TWIN.did]
    assert await bench.do(lambda work: work.twins.owned_by(OWNER.did))


async def test_a_device_comes_back_as_it_was_saved(bench: Any) -> None:
    device = Device(parse_device_enrolment(an_enrolment(aliases=("Patient/17",))), 3, NOON - timedelta(hours=1))
    named = (device.enrolment.device, device.enrolment.twin)
    for saved in (Device(device.enrolment), device):
        await bench.do(lambda work, saved=saved: work.devices.save(saved))
    assert await bench.do(lambda work: work.devices.lock(*named)) == device
    assert await bench.do(lambda work: work.devices.known(OWNER.did)) is False


async def test_a_subject_comes_back_as_it_was_saved(bench: Any) -> None:
    subject = with_status(Subject(OWNER.did, "owner"), SubjectStatus.SUSPENDED)

    async def change(work: Work) -> None:
        assert await work.subjects.lock(OWNER.did) is None
        await work.subjects.save(subject)

    await bench.do(change)
    assert await bench.do(lambda work: work.subjects.lock(OWNER.did)) == subject


async def test_the_migrations_make_the_tables_that_the_stores_speak_of(bench: Any) -> None:
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
