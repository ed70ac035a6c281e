"""The score is the formula of data-path.md 6, whichever way it is worked out."""

from collections.abc import Sequence
from dataclasses import replace
from math import floor, log2
from statistics import median

import numpy as np
import pytest
from didymos_readings import Assurance, Bounds, Flag, Profile, Property, Scores, explain, normalise
from didymos_testing.readings import NOON_US, a_batch, a_column, everywhere
from hypothesis import given
from hypothesis import strategies as st

LEVEL = Property(
    "glucose/level", unit="mg/dL", period_s=300, latency_s=900, soft=Bounds(40, 400), hard=Bounds(10, 1000),
    max_rate=0.1, flat_n=4,
)  # fmt: skip
PLAIN = Property("glucose/level", unit="mg/dL", latency_s=900)


def scored(
    *columns: Sequence[float],
    prop: Property = LEVEL,
    period_s: float = 300,
    last_us: int = NOON_US,
    assurance: Assurance = Assurance.DEVICE,
    backfill: bool = False,
) -> Scores:
    profile = Profile("test@1", "Test", {prop.name: prop})
    parts = [a_column(values, period_s=period_s, last_us=last_us) for values in columns]
    batch = a_batch(*parts, backfill=backfill)
    found, refusals = normalise(batch, profile, NOON_US, everywhere, assurance)
    assert not refusals
    assert found.scores is not None
    return found.scores


def test_a_clean_and_punctual_series_scores_100() -> None:
    found = scored([100, 110, 105, 98])
    assert (found.quality.tolist(), found.flags.tolist(), found.completeness) == ([100] * 4, [0] * 4, (100,))


def test_outside_the_soft_bounds_consistency_falls_to_the_hard_ones() -> None:
    found = scored([700, 1000, 25, 10], prop=replace(LEVEL, max_rate=None, period_s=None))
    halves = round(100 * 0.5 ** (0.5 / 0.8))
    assert found.quality.tolist() == [halves, 0, halves, 0]
    assert found.flags.tolist() == [Flag.SOFT] * 4


def test_a_jump_above_the_rate_costs_by_its_ratio() -> None:
    found = scored([100, 160, 60])  # 30 in 300 s are allowed
    assert found.shares["rate"].tolist() == pytest.approx([1, 0.5, 0.3])
    assert found.flags.tolist() == [0, Flag.RATE, Flag.RATE]


def test_the_rate_never_looks_across_blocks() -> None:
    assert scored([100, 101], [390, 391]).quality.tolist() == [100] * 4


def test_the_rate_follows_time_whatever_the_order() -> None:
    profile = Profile("test@1", "Test", {LEVEL.name: replace(LEVEL, flat_n=None, period_s=None)})
    column = a_column([100, 160, 130])
    shuffled = replace(column, t_us=column.t_us[[0, 2, 1]])
    found, _ = normalise(a_batch(shuffled), profile, NOON_US, everywhere)
    assert found.scores is not None
    assert found.scores.quality.tolist() == [100, 100, 100]
    found, _ = normalise(a_batch(column), profile, NOON_US, everywhere)
    assert found.scores is not None
    assert found.scores.quality[1] < 100


def test_an_outlier_costs_by_its_z() -> None:
    values = [100.0, 101.0, 99.0, 100.5] * 4 + [130.0]
    middle = median(values)
    mad = median(abs(value - middle) for value in values)
    found = scored(values, prop=PLAIN, period_s=50)
    assert found.shares["outlier"][-1] == pytest.approx(3.5 / (0.6745 * (130 - middle) / mad))
    assert found.flags.tolist() == [0] * 16 + [Flag.OUTLIER]


def test_fifteen_readings_are_too_few_for_outliers() -> None:
    assert "outlier" not in scored([100.0, 101.0, 99.0] * 4 + [100.0, 101.0, 300.0], prop=PLAIN).shares


def test_a_block_of_one_value_has_no_scale_for_outliers() -> None:
    assert "outlier" not in scored([100.0] * 15 + [101.0, 300.0], prop=PLAIN).shares


def test_a_flat_run_is_suspect_as_a_whole() -> None:
    found = scored([100, 101, 101, 101, 101, 102, 102, 102], [102, 103], period_s=100)
    assert found.flags.tolist() == [0, *[Flag.FLAT] * 4, 0, 0, 0, 0, 0]
    assert found.quality.tolist()[1] == round(100 * 0.5**0.5)


def test_late_readings_lose_by_the_logarithm_of_their_lag() -> None:
    for times_over in (1, 2, 32, 1024, 5000):
        found = scored([100.0], last_us=NOON_US - times_over * 900_000_000)
        share = max(0.0, 1 - log2(times_over) / 10)
        assert found.quality.tolist() == [round(100 * share ** (0.2 / 0.8))]
        assert found.flags.tolist() == [Flag.LATE if times_over > 1 else 0]


def test_two_periods_are_never_late() -> None:
    punctual = replace(LEVEL, latency_s=0)
    assert scored([100.0], prop=punctual, last_us=NOON_US - 600_000_000).flags.tolist() == [0]
    assert scored([100.0], prop=replace(PLAIN, latency_s=0), last_us=NOON_US - 10_000_001).flags.tolist() == [Flag.LATE]


def test_backfill_switches_timeliness_off() -> None:
    found = scored([100.0, 101.0], last_us=NOON_US - 10**13, backfill=True)
    assert (found.quality.tolist(), found.flags.tolist()) == ([100, 100], [Flag.BACKFILL] * 2)


def test_a_gap_costs_completeness() -> None:
    found = scored([100, 101, 102], period_s=600)  # 3 of the 5 that 20 minutes hold
    assert found.completeness == (60,)
    assert found.quality.tolist() == [round(100 * 0.6**0.2)] * 3


@pytest.mark.parametrize(
    ("assurance", "share"),
    [(Assurance.DEVICE, 1), (Assurance.HTTP, 1), (Assurance.TOKEN, 0.8), (Assurance.GATEWAY, 0.7)],
)
def test_what_vouches_weighs_a_tenth(assurance: Assurance, share: float) -> None:
    assert scored([100, 101], assurance=assurance).quality.tolist() == [round(100 * share**0.1)] * 2


def test_a_score_explains_itself() -> None:
    found = scored([100, 160, 160], [100.0], last_us=NOON_US - 1_800_000_000, assurance=Assurance.TOKEN)
    dimensions = {each.name: each for each in explain(found, 1)}
    assert [each.weight for each in dimensions.values()] == pytest.approx([0.5, 0.2, 0.2, 0.1])
    assert {part.name: part.value for part in dimensions["consistency"].parts} == pytest.approx(
        {"range": 100, "rate": 50, "outlier": 100, "flat": 100}
    )
    share = np.prod([(each.value / 100) ** each.weight for each in dimensions.values()])
    assert round(100 * share) == found.quality[1]
    assert [each.name for each in explain(found, 3)] == ["consistency", "timeliness", "assurance"]


def by_hand(values: list[float], t_us: list[int]) -> list[int]:
    """The formula as the page has it, one reading at a time; soft, hard, rate and flatness of LEVEL."""
    order = sorted(range(len(values)), key=lambda at: t_us[at])
    middle = median(values)
    mad = median(abs(value - middle) for value in values)
    complete = min(1, len(values) / (floor((max(t_us) - min(t_us)) / 300e6) + 1))
    found = [0] * len(values)
    for place, at in enumerate(order):
        value = values[at]
        shares = [1.0]
        if value < 40:
            shares.append((value - 10) / 30)
        if value > 400:
            shares.append((1000 - value) / 600)
        if place:
            before = order[place - 1]
            change, seconds = abs(value - values[before]), (t_us[at] - t_us[before]) / 1e6
            if change > 0.1 * seconds:
                shares.append(0.1 * seconds / change)
        z = 0.6745 * abs(value - middle) / mad if mad and len(values) >= 16 else 0
        shares.append(3.5 / z if z > 3.5 else 1)
        first = last = place
        while first and values[order[first - 1]] == value:
            first -= 1
        while last + 1 < len(order) and values[order[last + 1]] == value:
            last += 1
        shares.append(0.5 if last - first + 1 >= 4 else 1)
        lag = (NOON_US - t_us[at]) / 1e6
        timely = 1 if lag <= 900 else max(0, 1 - log2(lag / 900) / 10)
        score = min(shares) ** 0.5 * timely**0.2 * complete**0.2 if len(values) > 1 else 0
        found[at] = round(100 * (score if len(values) > 1 else min(shares) ** 0.625 * timely**0.25))
    return found


BLOCKS = st.lists(
    st.lists(
        st.tuples(
            st.integers(20, 2000).map(lambda half: half / 2), st.integers(-100_000, 100).map(lambda s: s * 10**6)
        ),
        min_size=1,
        max_size=24,
    ),
    min_size=1,
    max_size=5,
)


@given(BLOCKS)
def test_the_vector_is_the_scalar(blocks: list[list[tuple[float, int]]]) -> None:
    columns = [
        replace(a_column([value for value, _ in block]), t_us=NOON_US + np.array([at for _, at in block], np.int64))
        for block in blocks
    ]
    profile = Profile("test@1", "Test", {LEVEL.name: LEVEL})
    found, refusals = normalise(a_batch(*columns), profile, NOON_US, everywhere)
    assert not refusals
    assert found.scores is not None
    wanted = [
        score
        for column in columns
        for score in by_hand([float(value) for value in column.values], column.t_us.tolist())
    ]
    assert np.abs(found.scores.quality.astype(int) - wanted).max() <= 1  # halves may round either way


@given(BLOCKS)
def test_the_order_of_blocks_changes_no_score(blocks: list[list[tuple[float, int]]]) -> None:
    profile = Profile("test@1", "Test", {LEVEL.name: LEVEL})

    def quality(given_blocks: list[list[tuple[float, int]]]) -> list[list[int]]:
        columns = [
            replace(a_column([value for value, _ in block]), t_us=NOON_US + np.array([at for _, at in block], np.int64))
            for block in given_blocks
        ]
        found, _ = normalise(a_batch(*columns), profile, NOON_US, everywhere)
        return [block.quality.tolist() for block in found.blocks]

    assert quality(blocks[::-1]) == quality(blocks)[::-1]
