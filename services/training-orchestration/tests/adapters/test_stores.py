"""Rows and back: runs with their leases, rounds, the book, the registry, the journal; and the schema they need."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from didymos_contracts.errors import Problem
from didymos_did import Did, GrantId, TwinId
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.ids import OrderedIds
from didymos_testing.clock import FixedClock
from didymos_testing.did import NOON, RESEARCH, STRANGER, a_grant_id, a_signer
from didymos_testing.training import BUYER, PROVIDER, a_spec
from didymos_training_orchestration.adapters.journal import AttemptName, Entry, SqlJournal
from didymos_training_orchestration.adapters.registry import SqlRegistry
from didymos_training_orchestration.adapters.stores import SqlRounds
from didymos_training_orchestration.adapters.tables import METADATA
from didymos_training_orchestration.adapters.work import sql_work
from didymos_training_orchestration.domain.budget import Booking
from didymos_training_orchestration.domain.cohort import Cohort, Member, Subject
from didymos_training_orchestration.domain.contribution import SubjectReport
from didymos_training_orchestration.domain.model import Model, ModelId, ModelKind, Parent
from didymos_training_orchestration.domain.round import Round, RoundState
from didymos_training_orchestration.domain.run import Run, RunId, RunState, Terms
from sqlalchemy import inspect

RUN, SITE, TWIN = RunId("run-1"), a_signer("site").did, TwinId(a_signer("twin").did)
COHORT = Cohort((Member(SITE, (Subject(TWIN, a_grant_id(1)),), 1),))


@asynccontextmanager
async def a_database(folder: Path) -> AsyncIterator[Database]:
    engine, clock = sqlite_engine(folder / "training.db"), FixedClock()
    migrations = migrations_of("training-orchestration")
    await upgrade(engine, migrations)
    stamp = Stamp("didymos://test/training-orchestration", clock, OrderedIds(clock))
    async with Database(engine, "training-orchestration", stamp, migrations) as database:
        yield database


def a_run(**changes: Any) -> Run:
    terms = Terms("urn:agreement", BUYER.did, PROVIDER.did, RESEARCH)
    return replace(Run(RUN, terms, a_spec(), "sites", NOON), **changes)


async def test_twins_of_rounds_that_were_before_are_noted_as_well(tmp_path: Path) -> None:
    engine, migrations = sqlite_engine(tmp_path / "training.db"), migrations_of("training-orchestration")
    async with engine.begin() as connection:
        await connection.run_sync(lambda opened: command.upgrade(migrations.config(opened), "0001"))
        for number in (1, 2):
            await SqlRounds(connection).add(Round(RUN, number, COHORT, bytes(32)))
    await upgrade(engine, migrations)
    async with engine.connect() as connection:
        assert await SqlRegistry(connection).uses(TWIN) == [(RUN, a_grant_id(1))]
    await engine.dispose()


async def test_the_migration_makes_the_tables_that_the_code_names(tmp_path: Path) -> None:
    async with a_database(tmp_path) as database, database.read() as connection:
        made = await connection.run_sync(
            lambda sync: {
                name: {column["name"] for column in inspect(sync).get_columns(name)}
                for name in inspect(sync).get_table_names()
                if name != "alembic_version"
            }
        )
    assert made == {name: set(table.columns.keys()) for name, table in METADATA.tables.items()}


async def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    run = a_run(
        state=RunState.PAUSED, reason="quorum", round=3, committed=2, aborted=1, params=b"p" * 32,
        moments=(b"a" * 32, b"b" * 32), bitwise=False, fingerprint="here",
    )  # fmt: skip
    async with a_database(tmp_path) as database, database.unit_of_work() as tx:
        runs = sql_work(tx).runs
        await runs.add(run)
        assert await runs.find(RUN) == await runs.lock(RUN) == run
        assert await runs.find(RunId("none")) is None
        assert [one.id for one in await runs.of(PROVIDER.did, None, 10)] == [RUN]
        assert [*await runs.of(STRANGER.did, None, 10)] == []
        assert [one.id for one in await runs.under("urn:agreement")] == [RUN]
        assert [*await runs.to_drive()] == []


async def test_a_stale_revision_or_term_stores_nothing(tmp_path: Path) -> None:
    async with a_database(tmp_path) as database, database.unit_of_work() as tx:
        runs = sql_work(tx).runs
        await runs.add(a_run())
        await runs.save(a_run(revision=2, round=1))
        for stale in (a_run(revision=2, round=9), a_run(revision=3, lease_epoch=7)):
            with pytest.raises(Problem) as raised:
                await runs.save(stale)
            assert raised.value.row.code == "training.lease_lost"
        assert (await runs.find(RUN) or a_run()).round == 1


async def test_one_coordinator_holds_a_run_until_its_lease_ends(tmp_path: Path) -> None:
    later = NOON + timedelta(seconds=10)
    async with a_database(tmp_path) as database, database.unit_of_work() as tx:
        runs = sql_work(tx).runs
        await runs.add(a_run(state=RunState.RUNNING))
        assert [*await runs.to_drive()] == [RUN]
        assert await runs.take_lease(RUN, "a", NOON, later, at_once=False) == 1
        assert await runs.take_lease(RUN, "b", NOON, later, at_once=False) is None
        assert await runs.renew_lease(RUN, 1, later + timedelta(seconds=5))
        assert await runs.take_lease(RUN, "b", later, later, at_once=False) is None
        assert await runs.take_lease(RUN, "b", later + timedelta(seconds=6), later, at_once=False) == 2
        assert not await runs.renew_lease(RUN, 1, later)
        assert await runs.take_lease(RUN, "c", NOON, later, at_once=True) == 3


async def test_a_round_comes_back_as_it_was(tmp_path: Path) -> None:
    round_ = Round(
        RUN, 2, COHORT, b"p" * 32, 3, RoundState.CLOSING, 1, 2, 3, (SITE,), b"t" * 32, b"r" * 32, b"s" * 32, "why", True
    )
    async with a_database(tmp_path) as database, database.unit_of_work() as tx:
        rounds = sql_work(tx).rounds
        await rounds.add(replace(round_, attempt=1, state=RoundState.OPEN))
        await rounds.save(round_)
        assert await rounds.find(RUN, 2) == round_
        assert [*await rounds.of(RUN)] == [round_]
        assert await rounds.find(RUN, 1) is None
        await rounds.outcome(round_, {SITE: "deadline"})
        await rounds.outcome(round_, {SITE: "delivered"})
        await rounds.outcome(round_, {})
        assert await rounds.outcomes(RUN, 2) == {(3, SITE): "delivered"}


async def test_the_book_counts_each_round_once(tmp_path: Path) -> None:
    grants = [a_grant_id(1), a_grant_id(2)]
    async with a_database(tmp_path) as database, database.unit_of_work() as tx:
        book = sql_work(tx).book

        async def counted() -> dict[GrantId, tuple[int, int]]:
            return {name: (one.reserved, one.spent) for name, one in (await book.accounts(grants)).items()}

        assert await counted() == {}
        for _ in range(2):
            await book.book(RUN, 1, grants, Booking.RESERVED)
        assert await counted() == dict.fromkeys(grants, (1, 0))
        await book.book(RUN, 1, grants[:1], Booking.SPENT)
        await book.book(RUN, 1, grants, Booking.RELEASED)
        assert await counted() == {grants[0]: (0, 1), grants[1]: (0, 0)}
        await book.book(RUN, 1, grants, Booking.RESERVED)  # what is spent stays spent
        assert await counted() == {grants[0]: (0, 1), grants[1]: (1, 0)}
        await book.book(RUN, 2, grants[1:], Booking.SPENT)  # nothing was reserved
        assert await book.spent_rounds(RUN) == {grants[0]: 1}
        drawn = await book.drawn()
        accounts = (await book.accounts(grants)).values()
        assert (drawn.reserved, drawn.spent) == (sum(one.reserved for one in accounts), 1)


async def test_the_registry_keeps_models_lineage_and_reports_once(tmp_path: Path) -> None:
    model = Model(ModelId("m-1"), ModelKind.PERSONAL, RUN, TWIN, "forecast", b"p" * 32, b"{}", NOON)
    shared = replace(model, id=ModelId("m-0"), kind=ModelKind.GLOBAL, twin=None)
    parent = Parent(model.id, str(shared.id), "finetune")
    report = SubjectReport(TWIN, SITE, True, "", "x", 0.1, 1, 2, 3.0, 4.0, 5.0, 6.0, 7.0, -1.0, 1.0, b"m" * 32)
    async with a_database(tmp_path) as database, database.unit_of_work() as tx:
        registry = sql_work(tx).registry
        for _ in range(2):
            await registry.add(shared, [])
            await registry.add(model, [parent])
            await registry.report(RUN, [report])
        assert [*await registry.of_run(RUN)] == [shared, model]
        assert await registry.find(model.id) == model
        assert await registry.find(ModelId("m-x")) is None
        assert [*await registry.parents(model.id)] == [*await registry.children(ModelId(shared.id))] == [parent]
        assert [*await registry.reports(RUN)] == [report]


async def test_a_journal_plays_back_in_order_and_forgets_what_is_over(tmp_path: Path) -> None:
    first, second = AttemptName(RUN, 1, 1), AttemptName(RUN, 2, 1)
    entries = [Entry(SITE, "advert", b"a"), Entry(None, "ADVERTISE"), Entry(Did("did:key:zB"), "agree", b"b")]
    async with a_database(tmp_path) as database:
        journal = SqlJournal(database)
        for entry in entries:
            await journal.add(first, entry)
        await journal.add(second, entries[0])
        assert [*await journal.entries(first)] == entries
        await journal.forget(RUN, 2)
        assert [*await journal.entries(first)] == []
        assert [*await journal.entries(second)] == entries[:1]
