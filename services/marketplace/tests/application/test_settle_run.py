"""A run is paid once, to the last unit, and only for what contributed."""

import math
from dataclasses import replace

import pytest
from didymos_contracts.errors import Problem
from didymos_did import jcs
from didymos_marketplace.adapters.work import SqlTables
from didymos_marketplace.application.deposit import Deposit, deposit
from didymos_marketplace.application.read_market import read_account, read_agreement, read_settlement
from didymos_marketplace.application.settle_run import record_of, settle_run
from didymos_marketplace.domain.book import FEES, OUTSIDE, buyer_account, escrow_account
from didymos_marketplace.domain.offer import Price
from didymos_testing.did import INSTITUTE, STRANGER
from didymos_testing.market import EUR, PRICE, ROUNDS, Desk


async def test_escrow_goes_to_payees_fee_and_buyer_to_the_last_unit(desk: Desk) -> None:
    agreement = await desk.agreed()
    settled = await desk(lambda work: settle_run(desk.ended(agreement, [5.0, 3.0, -2.0]), work, desk.clock))
    balances = await desk.balances()
    assert settled is not None
    lines = [line.minor for line in settled.settlement.lines]
    assert sum(lines) + balances[FEES] + balances[buyer_account(INSTITUTE.did)] == PRICE
    assert balances[escrow_account(agreement.id)] == 0
    assert balances[OUTSIDE] == -PRICE
    assert balances[FEES] == PRICE * 250 // 10_000
    assert desk.published[-4:] == ["SettlementComputed", "PayoutPaid", "PayoutPaid", "SettlementFinal"]


async def test_an_agreement_is_settled_once_whatever_comes_again(desk: Desk) -> None:
    agreement = await desk.agreed()
    ended = desk.ended(agreement, [5.0, 3.0, 2.0])
    await desk(lambda work: settle_run(ended, work, desk.clock))
    before, said = await desk.balances(), list(desk.published)
    for again in (ended, desk.ended(agreement, [1.0, 1.0, 9.0])):
        assert await desk(lambda work, run=again: settle_run(run, work, desk.clock)) is None  # type: ignore[misc]
    assert (await desk.balances(), desk.published) == (before, said)


async def test_rounds_that_were_not_run_are_given_back(desk: Desk) -> None:
    agreement = await desk.agreed()
    ended = desk.ended(agreement, [1.0, 1.0, 1.0], rounds=ROUNDS // 2)
    settled = await desk(lambda work: settle_run(ended, work, desk.clock))
    assert settled is not None
    assert settled.settlement.refund_minor >= PRICE // 2
    assert settled.settlement.earned_minor == PRICE // 2


@pytest.mark.parametrize("scores", [[], [-1.0, 0.0, -3.0]])
async def test_where_nobody_contributed_the_buyer_gets_everything_back(desk: Desk, scores: list[float]) -> None:
    agreement = await desk.agreed()
    await desk(lambda work: settle_run(desk.ended(agreement, scores), work, desk.clock))
    balances = await desk.balances()
    assert balances[buyer_account(INSTITUTE.did)] == PRICE
    assert balances.get(FEES, 0) == 0


@pytest.mark.parametrize("score", [math.nan, math.inf])
async def test_a_score_that_is_no_number_moves_no_money(desk: Desk, score: float) -> None:
    agreement = await desk.agreed()
    with pytest.raises(Problem, match=r"market\.contribution_invalid"):
        await desk(lambda work: settle_run(desk.ended(agreement, [score, 1.0]), work, desk.clock))
    assert (await desk.balances())[escrow_account(agreement.id)] == PRICE


async def test_a_run_without_an_agreement_is_not_paid(desk: Desk) -> None:
    ended = replace(desk.ended(await desk.agreed(), [1.0]), agreement="urn:uuid:other")
    with pytest.raises(Problem, match=r"platform\.not_found"):
        await desk(lambda work: settle_run(ended, work, desk.clock))


async def test_a_settlement_reads_as_it_was_written_and_its_digest_covers_it(desk: Desk) -> None:
    agreement = await desk.agreed()
    settled = await desk(lambda work: settle_run(desk.ended(agreement, [5.5, 3.25, -2.0]), work, desk.clock))
    async with desk.database.read() as connection:
        found = await SqlTables(connection).settlements.find(agreement.id)
    assert found == settled
    assert found is not None
    assert jcs(record_of(found.settlement, found.run)) == found.record


async def test_parties_see_all_lines_an_owner_the_own_and_others_nothing(desk: Desk) -> None:
    agreement = await desk.agreed()
    await desk(lambda work: settle_run(desk.ended(agreement, [5.0, 3.0, 2.0]), work, desk.clock))
    owner = desk.allowed.people[0].owner.did
    async with desk.database.read() as connection:
        tables = SqlTables(connection)
        whole = await read_settlement(agreement.id, INSTITUTE.did, desk.allowed, tables)
        own = await read_settlement(agreement.id, owner, desk.allowed, tables)
        earned = (await read_account(owner, desk.allowed, tables)).earned
        assert whole.lines is None
        assert own.lines == frozenset(one.index for one in earned)
        assert len(earned) == 1
        with pytest.raises(Problem, match=r"platform\.not_found"):
            await read_settlement(agreement.id, STRANGER.did, desk.allowed, tables)


async def test_an_erased_twin_leaves_its_amounts_and_takes_its_name(desk: Desk) -> None:
    agreement = await desk.agreed()
    await desk(lambda work: settle_run(desk.ended(agreement, [5.0, 3.0, 2.0]), work, desk.clock))
    person = desk.allowed.people[0]
    assert await desk(lambda work: work.settlements.forget(person.grant.twin)) == 1
    async with desk.database.read() as connection:
        assert (await read_account(person.owner.did, desk.allowed, SqlTables(connection))).earned == []
    await desk.balances()


async def test_an_agreement_is_for_its_parties_and_the_services_that_act_under_it(desk: Desk) -> None:
    agreement = await desk.agreed()
    async with desk.database.read() as connection:
        tables = SqlTables(connection)
        for caller in (INSTITUTE.did, desk.org.did, STRANGER.did):
            held = await read_agreement(agreement.id, caller, frozenset({STRANGER.did}), tables)
            assert (held.agreement, held.funded_minor) == (agreement, PRICE)
        with pytest.raises(Problem, match=r"platform\.not_found"):
            await read_agreement(agreement.id, STRANGER.did, frozenset(), tables)


async def test_a_deposit_is_booked_once_and_by_an_administrator_only(desk: Desk) -> None:
    wanted = Deposit("bank-1", INSTITUTE.did, Price(EUR, 70))
    for _ in range(2):
        assert await desk(lambda work: deposit(wanted, desk.org.did, {desk.org.did}, work, desk.clock)) == 70
    other = Deposit("bank-1", INSTITUTE.did, Price(EUR, 71))
    with pytest.raises(Problem, match=r"market\.id_taken"):
        await desk(lambda work: deposit(other, desk.org.did, {desk.org.did}, work, desk.clock))
    with pytest.raises(Problem, match=r"platform\.forbidden"):
        await desk(lambda work: deposit(wanted, INSTITUTE.did, {desk.org.did}, work, desk.clock))
