"""Money is neither made nor lost inside the book."""

from didymos_marketplace.domain.book import OUTSIDE, Account, Broken, Transfer, balances, check
from hypothesis import given
from hypothesis import strategies as st

accounts = st.sampled_from([OUTSIDE, Account("buyer:a"), Account("escrow:1"), Account("payee:t"), Account("fees")])
wishes = st.lists(st.builds(Transfer, st.uuids().map(str), st.just("EUR/2"), accounts, accounts, st.integers(-5, 50)))


def booked(wished: list[Transfer]) -> list[Transfer]:
    done: list[Transfer] = []
    for transfer in wished:
        held = balances(done).get((transfer.asset, transfer.source), 0)
        if check(transfer, held) is None:
            done.append(transfer)
    return done


@given(wishes)
def test_the_book_sums_to_zero_and_nobody_inside_owes(wished: list[Transfer]) -> None:
    found = balances(booked(wished))
    assert sum(found.values()) == 0
    assert all(minor >= 0 for (_, account), minor in found.items() if account != OUTSIDE)


def test_what_is_not_there_cannot_be_spent() -> None:
    transfer = Transfer("t", "EUR/2", Account("buyer:a"), Account("escrow:1"), 10)
    assert check(transfer, held=9) is Broken.NOT_COVERED
    assert check(transfer, held=10) is None


def test_nothing_and_circles_are_refused() -> None:
    a = Account("buyer:a")
    assert check(Transfer("t", "EUR/2", a, Account("fees"), 0), held=5) is Broken.NOT_POSITIVE
    assert check(Transfer("t", "EUR/2", a, a, 1), held=5) is Broken.SAME_ACCOUNT
