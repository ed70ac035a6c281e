"""The list of refusals: once each, for the owner, for as long as their content is kept."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from didymos_contracts.errors import Problem
from didymos_did import Facts, Freshness
from didymos_ingestion.adapters.refusals import SqlRefusals
from didymos_ingestion.application.keep_refusals import Asker, ListRefusals, keep_refusals, list_refusals
from didymos_ingestion.domain.refusal import KeptRefusal
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_testing.access import some_facts
from didymos_testing.clock import FixedClock, seeded_ids
from didymos_testing.did import INSTITUTE, OWNER, STRANGER, a_grant, a_read_terms
from didymos_testing.ingestion_refusals import NAME, NOON, RefusalsContract, a_refusal


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


class TestSqliteRefusals(RefusalsContract):
    """With the fixture `store` above."""


async def asked(store: SqlRefusals, facts: Facts, **changes: object) -> list[KeptRefusal]:
    asker = replace(Asker(OWNER.did, None, None), **changes)  # type: ignore[arg-type] # fields by name
    return list(await list_refusals(ListRefusals(asker, NAME, None, 10), facts, store, NOON))


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
