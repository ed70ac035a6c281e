"""Market and ledger keep their promises on real Kafka, PostgreSQL and Redis: money balances, bundles verify."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from didymos_contracts.errors import Problem
from didymos_kit.database.engine import Database, postgres_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.house import House
from didymos_ledger.domain.provable import round_id
from didymos_marketplace.application.settle_run import settle_run
from didymos_marketplace.domain.book import OUTSIDE, Account, Transfer, escrow_account
from didymos_provenance import Exit
from didymos_testing.clock import FixedClock, seeded_ids
from didymos_testing.did import INSTITUTE
from didymos_testing.ledger import a_ledger_in
from didymos_testing.market import EUR, PRICE, Desk, a_desk_on, a_urn
from didymos_testing.servers import house_settings, wiped
from sqlalchemy import text

pytestmark = pytest.mark.servers


@pytest.fixture
async def desk(postgres_url: str) -> AsyncIterator[Desk]:
    """The market's tables in a schema of their own, which goes with the test."""
    clock, schema, migrations = FixedClock(), f"marketplace_{uuid4().hex[:8]}", migrations_of("marketplace")
    ids = seeded_ids(clock)
    unpooled = postgres_engine(postgres_url, schema, pooled=False)
    await upgrade(unpooled, migrations, schema)
    stamp = Stamp("didymos://test/marketplace", clock, ids)
    async with Database(postgres_engine(postgres_url, schema), "marketplace", stamp, migrations) as database:
        yield a_desk_on(database, clock, ids)
    async with unpooled.begin() as connection:
        await connection.execute(text(f'drop schema "{schema}" cascade'))
    await unpooled.dispose()


async def test_a_run_is_paid_once_to_the_last_unit(desk: Desk) -> None:
    agreement = await desk.agreed()
    ended = desk.ended(agreement, [5.0, 3.0, -2.0])
    assert await desk(lambda work: settle_run(ended, work, desk.clock)) is not None
    assert await desk(lambda work: settle_run(ended, work, desk.clock)) is None
    balances = await desk.balances()
    assert (balances[escrow_account(agreement.id)], balances[OUTSIDE]) == (0, -PRICE)
    assert sum(balances.values()) == 0


async def test_what_eight_spend_at_once_is_spent_once(desk: Desk) -> None:
    buyer, escrow = Account("buyer:a"), Account("escrow:b")
    await desk(lambda work: work.book.book(Transfer("in", EUR, OUTSIDE, buyer, 10), desk.clock.now()))

    async def spend(number: int) -> bool:
        pair = (buyer, escrow) if number % 2 else (escrow, buyer)  # both ways: a circle of locks would show
        transfer = Transfer(f"out-{number}", EUR, *pair, 7)
        try:
            await desk(lambda work: work.book.book(transfer, desk.clock.now()))
        except Problem as problem:
            assert problem.row.code in ("market.not_covered", "platform.unavailable")  # noqa: PT017
            return False
        return True

    await asyncio.gather(*map(spend, range(8)))
    balances = await desk.balances()
    assert sorted((balances[buyer], balances.get(escrow, 0))) in ([3, 7], [0, 10])


async def test_bundles_of_a_house_on_servers_verify(tmp_path: Path) -> None:
    settings = house_settings(tmp_path, os.environ)
    await wiped(settings)
    async with (
        House.servers(settings, "test") as house,
        a_ledger_in(house, tmp_path, folder=tmp_path / "ledger") as ledger,
    ):
        market, run = ledger.market, a_urn()
        agreement = (await market.agreed())["agreement_id"]
        await ledger.trained(agreement, run)
        await market.hear(market.a_run(agreement, [3.0, 1.0, -1.0], run=run), run)
        claims = {
            "agreement": agreement, "round": round_id(run, 2), "model": f"{run}/model",
            "payout": (await market.payouts(agreement))[0],
        }  # fmt: skip
        for kind, id_ in claims.items():
            verdict = await ledger.verdict(await ledger.bundle(INSTITUTE, kind, id_))
            assert verdict.exit is Exit.VALID, (kind, verdict)
        person = market.people[0]
        assert (await ledger.verdict(await ledger.bundle(person.owner, "grant", person.grant.id))).exit is Exit.VALID
