"""The book in SQL: whatever is booked in whatever order, it balances, and a repeat has no effect."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from didymos_contracts.errors import Problem
from didymos_marketplace.adapters.tables import BALANCE
from didymos_marketplace.domain.book import OUTSIDE, Account, Transfer, balances, check
from didymos_testing.market import EUR, Desk, a_desk
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

A, B = Account("buyer:a"), Account("escrow:b")
accounts = st.sampled_from([OUTSIDE, A, B, Account("fees")])
wishes = st.lists(
    st.builds(Transfer, st.sampled_from("abcdefgh"), st.just(EUR), accounts, accounts, st.integers(-2, 40)), max_size=12
)


async def booked(desk: Desk, wished: list[Transfer]) -> list[Transfer]:
    """What the book took."""
    taken: list[Transfer] = []
    for transfer in wished:
        try:
            await desk(lambda work, one=transfer: work.book.book(one, desk.clock.now()))  # type: ignore[misc]
        except Problem:
            continue
        if transfer not in taken:
            taken.append(transfer)
    return taken


@given(wishes)
@settings(max_examples=20, deadline=None)
def test_the_tables_hold_what_the_rules_of_the_book_say(wished: list[Transfer]) -> None:
    async def play(folder: Path) -> None:
        async with a_desk(folder, people=0) as desk:
            taken = await booked(desk, wished)
            stored = await desk.balances()
        assert sum(stored.values()) == 0
        assert all(minor >= 0 for account, minor in stored.items() if account != OUTSIDE)
        expected: list[Transfer] = []
        for transfer in wished:
            if transfer.id not in {one.id for one in expected}:
                held = balances(expected).get((EUR, transfer.source), 0)
                expected += [transfer] if check(transfer, held) is None else []
        assert taken == expected

    with TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))


async def test_a_transfer_again_moves_nothing_and_another_under_its_id_is_refused(desk: Desk) -> None:
    deposit = Transfer("one", EUR, OUTSIDE, A, 10)
    for _ in range(3):
        await desk(lambda work: work.book.book(deposit, desk.clock.now()))
    with pytest.raises(Problem, match=r"market\.id_taken"):
        await desk(lambda work: work.book.book(Transfer("one", EUR, OUTSIDE, A, 11), desk.clock.now()))
    assert (await desk.balances())[A] == 10


async def test_what_two_spend_at_once_is_spent_once(desk: Desk) -> None:
    await desk(lambda work: work.book.book(Transfer("in", EUR, OUTSIDE, A, 10), desk.clock.now()))

    async def spend(number: int) -> bool:
        transfer = Transfer(f"out-{number}", EUR, A, B, 7)
        try:
            await desk(lambda work: work.book.book(transfer, desk.clock.now()))
        except Problem:
            return False
        return True

    assert sorted(await asyncio.gather(*map(spend, range(4)))) == [False, False, False, True]
    assert (await desk.balances())[A] == 3


async def test_the_table_itself_refuses_a_debt(desk: Desk) -> None:
    await desk(lambda work: work.book.book(Transfer("in", EUR, OUTSIDE, A, 10), desk.clock.now()))
    with pytest.raises(IntegrityError):
        async with desk.database.unit_of_work() as tx:
            await tx.connection.execute(update(BALANCE).where(BALANCE.c.account == A).values(minor=-1))


async def test_escrow_has_a_gap_only_when_a_balance_is_changed_by_hand(desk: Desk) -> None:
    for transfer in (
        Transfer("in", EUR, OUTSIDE, A, 10), Transfer("lock", EUR, A, B, 7), Transfer("pay", EUR, B, Account("fees"), 2)
    ):  # fmt: skip
        await desk(lambda work, one=transfer: work.book.book(one, desk.clock.now()))  # type: ignore[misc]
    assert await desk(lambda work: work.book.escrow_gap()) == 0
    async with desk.database.unit_of_work() as tx:
        await tx.connection.execute(update(BALANCE).where(BALANCE.c.account == B).values(minor=4))
    assert await desk(lambda work: work.book.escrow_gap()) == 1
