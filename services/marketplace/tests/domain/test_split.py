"""A split is exact, capped, and pays contribution only."""

import itertools

import pytest
from didymos_marketplace.domain.settlement import Contribution, settle
from didymos_marketplace.domain.split import fee, split
from hypothesis import given
from hypothesis import strategies as st

scores = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=40)
pools = st.integers(0, 10**12)


@given(pools, scores)
def test_a_split_never_pays_more_than_the_pool(pool: int, given_scores: list[float]) -> None:
    shares = split(pool, given_scores)
    assert len(shares) == len(given_scores)
    assert sum(shares) <= pool
    assert min(shares) >= 0


@given(pools, scores)
def test_who_contributed_nothing_is_paid_nothing(pool: int, given_scores: list[float]) -> None:
    shares = split(pool, given_scores)
    assert all(share == 0 for share, score in zip(shares, given_scores, strict=True) if score <= 0)


@given(st.integers(10**6, 10**12), scores)
def test_a_higher_score_is_never_paid_less(pool: int, given_scores: list[float]) -> None:
    paid = sorted(zip(given_scores, split(pool, given_scores), strict=True))
    assert all(low[1] <= high[1] + 1 for low, high in itertools.pairwise(paid))


def test_shares_follow_the_scores() -> None:
    assert split(600, [1.0, 2.0, 3.0]) == (100, 200, 300)


def test_one_loud_contributor_is_capped_at_three_medians_and_the_rest_is_shared_again() -> None:
    # 14 parts: the median share is 714.29, its threefold 2142.86; the other four share the remaining 7857.14
    assert split(10_000, [1.0, 1.0, 1.0, 1.0, 10.0]) == (1965, 1964, 1964, 1964, 2143)


def test_noise_under_a_twentieth_of_the_median_is_not_paid() -> None:
    assert split(1000, [1.0, 1.0, 0.01]) == (500, 500, 0)


def test_rest_units_go_to_the_largest_fraction_then_the_lowest_index() -> None:
    assert split(100, [1.0, 1.0, 1.0]) == (34, 33, 33)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="score 1 is not finite"):
        split(100, [1.0, float("nan")])
    with pytest.raises(ValueError, match="score 0 is not finite"):
        split(100, [float("inf")])


def test_the_fee_is_rounded_down_and_bounded() -> None:
    assert fee(999, 250) == 24
    with pytest.raises(ValueError, match="basis points"):
        fee(1, 10_001)


contributions = st.lists(
    st.builds(Contribution, st.text("abcdef", min_size=6, max_size=6), st.floats(-10, 10), st.integers(0, 30)),
    max_size=20,
    unique_by=lambda one: one.thread,
)


@given(st.integers(0, 10**9), st.integers(0, 30), contributions, st.integers(0, 10_000))
def test_a_settlement_accounts_for_every_unit(funded: int, done: int, given: list[Contribution], bps: int) -> None:
    made = settle("a-1", 1, "EUR/2", funded, (done, 30), given, bps)
    assert made.fee_minor + made.refund_minor + sum(line.minor for line in made.lines) == funded
    assert made.refund_minor >= funded - made.earned_minor


@given(contributions, st.randoms())
def test_a_settlement_does_not_depend_on_the_order_of_contributions(given: list[Contribution], random: object) -> None:
    shuffled = list(given)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert settle("a", 1, "EUR/2", 5000, (3, 3), given, 250) == settle("a", 1, "EUR/2", 5000, (3, 3), shuffled, 250)


def test_rounds_that_did_not_run_return_to_the_buyer() -> None:
    made = settle("a", 1, "EUR/2", 1000, (1, 4), [Contribution("t", 1.0, 1)], 0)
    assert (made.lines[0].minor, made.refund_minor) == (250, 750)


def test_a_run_that_helped_nobody_costs_nothing() -> None:
    made = settle("a", 1, "EUR/2", 1000, (4, 4), [Contribution("t", -1.0, 4)], 250)
    assert (made.fee_minor, made.refund_minor) == (0, 1000)
