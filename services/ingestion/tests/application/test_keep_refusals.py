"""The list of refusals: once each, for the owner, for as long as their content is kept."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from didymos_contracts.errors import Problem
from didymos_did import Facts, Freshness, TwinId
from didymos_ingestion.adapters.refusals import SqlRefusals
from didymos_ingestion.application.keep_refusals import ListRefusals, keep_refusals, list_refusals
from didymos_ingestion.domain.refusal import KEPT, KeptRefusal
from didymos_kit.clock import from_us
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_testing.access import some_facts
from didymos_testing.clock import FixedClock, seeded_ids
from didymos_testing.did import INSTITUTE, OWNER, STRANGER, TWIN, a_grant, a_read_terms
from didymos_testing.ingestion import DEVICE
from didymos_testing.readings import NOON_US

NOON = from_us(NOON_US)
NAME = TwinId(TWIN.did)
BATCH = bytes(32)


def a_refusal(**changes: object) -> KeptRefusal:
    said = KeptRefusal(NAME, DEVICE.did, BATCH, 3, 7, 0, 1, "reading.not_finite", "no finite number", "glucose@1", NOON)
    return replace(said, **changes)  # type: ignore[arg-type] # fields by name


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlRefusals]:
    engine = sqlite_engine(tmp_path / "ingestion.db")
    migrations = migrations_of("ingestion")
    await upgrade(engine, migrations)
    clock = FixedClock(NOON)
    stamp = Stamp("didymos://test", clock, seeded_ids(clock))
    async with Database(engine, "ingestion", stamp, migrations) as database:
        assert await database.check() is None
        yield SqlRefusals(database)


async def all_of(store: SqlRefusals) -> list[tuple[int, int, int]]:
    return [(each.partition, each.offset, each.index) for each in await store.of_twin(NAME, None, 100)]


async def test_a_repeat_of_a_record_or_of_a_batch_is_listed_once(store: SqlRefusals) -> None:
    await keep_refusals([a_refusal(), a_refusal(index=5)], store, NOON)
    await keep_refusals([a_refusal(), a_refusal(offset=8), a_refusal(offset=8, index=5)], store, NOON)
    await keep_refusals([], store, NOON)
    assert await all_of(store) == [(3, 7, 0), (3, 7, 5)]
    (first, _) = await store.of_twin(NAME, None, 100)
    assert first == a_refusal()


async def test_what_the_log_no_longer_holds_is_not_listed(store: SqlRefusals) -> None:
    old = a_refusal(received_at=NOON - KEPT - timedelta(seconds=1), batch=b"old")
    await keep_refusals([old, a_refusal(offset=9)], store, NOON)
    assert await all_of(store) == [(3, 9, 0)]


async def test_erasure_empties_the_list_of_a_twin(store: SqlRefusals) -> None:
    other = a_refusal(twin=STRANGER.did, offset=8)
    await keep_refusals([a_refusal(), other], store, NOON)
    await store.drop_twin(NAME)
    assert await all_of(store) == []
    assert len(await store.of_twin(TwinId(STRANGER.did), None, 9)) == 1


async def test_pages_go_on_after_a_place(store: SqlRefusals) -> None:
    await keep_refusals([a_refusal(offset=offset, batch=bytes([offset])) for offset in range(10)], store, NOON)
    assert [each.offset for each in await store.of_twin(NAME, (3, 4, 0), 3)] == [5, 6, 7]


async def asked(store: SqlRefusals, facts: Facts, **changes: object) -> list[KeptRefusal]:
    query = replace(ListRefusals(OWNER.did, None, None, NAME, None, 10), **changes)  # type: ignore[arg-type]
    return list(await list_refusals(query, facts, store, NOON))


async def test_the_owner_sees_the_list_and_a_stranger_learns_nothing(store: SqlRefusals) -> None:
    await keep_refusals([a_refusal()], store, NOON)
    assert await asked(store, some_facts()) == [a_refusal()]
    with pytest.raises(Problem) as raised:
        await asked(store, some_facts(), actor=STRANGER.did)
    assert (raised.value.row.code, raised.value.values) == ("platform.not_found", {"twin": NAME})


async def test_a_grant_on_the_path_lets_another_see_it_while_consent_is_fresh(store: SqlRefusals) -> None:
    await keep_refusals([a_refusal()], store, NOON)
    window = (NOON - timedelta(days=1), NOON + timedelta(days=1))
    granted = some_facts(a_grant(terms=a_read_terms(paths=["quarantine"], window=window)))
    who = {"actor": INSTITUTE.did, "purpose": a_read_terms().purposes[0]}
    assert await asked(store, granted, **who) == [a_refusal()]
    with pytest.raises(Problem) as raised:
        await asked(store, replace(granted, freshness=Freshness.STALE), **who)
    assert raised.value.row.code == "consent.stale"
