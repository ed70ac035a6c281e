"""What is accepted, and what is refused by index and reason. data-path.md 5 and 7."""

from dataclasses import replace

import numpy as np
import pytest
from didymos_readings import (
    REFUSED,
    Column,
    Flag,
    Normalised,
    NormalisedBlock,
    Op,
    Refusal,
    built_in_profiles,
    encode_block,
    normalise,
    parse_profile,
    sign_batch,
)
from didymos_testing.readings import (
    GENERIC_PROFILE,
    GLUCOSE_PROFILE,
    KEY,
    NOON_US,
    TWIN,
    a_batch,
    a_column,
    a_stream,
    everywhere,
    verified,
)
from hypothesis import given
from hypothesis import strategies as st

KINDS = parse_profile(
    b"""{"id": "kinds@1", "title": "A property of each kind", "properties": [
    {"name": "number"}, {"name": "open", "kind": "bool", "flat_n": 3}, {"name": "place", "kind": "point"},
    {"name": "note", "kind": "text"}, {"name": "acid", "unit": "mol/L", "hard": [1e-14, 1]},
    {"name": "level", "unit": "[pH]", "hard": [0, 14]}]}"""
)


def taken(*columns: Column, profile: str = "glucose@1") -> tuple[Normalised, list[Refusal]]:
    return normalise(a_batch(*columns, profile=profile), built_in_profiles()[profile], NOON_US, everywhere)


def numbers(block: NormalisedBlock) -> list[float]:
    return [float(value) for value in block.values]


def refused(*columns: Column) -> list[tuple[int, int, str]]:
    return [(each.index, each.count, each.code) for each in taken(*columns)[1]]


def test_values_become_the_canonical_unit() -> None:
    found, refusals = taken(a_column([5.5, 10.0], unit="mmol/L"))
    assert not refusals
    assert numbers(found.blocks[0]) == pytest.approx([5.5 * 18.0156, 180.156], rel=1e-15)
    assert (found.blocks[0].plan.unit, found.accepted) == ("mg/dL", 2)


def test_blocks_of_several_units_and_types_are_worked_out_together() -> None:
    single = np.array([100, 101], np.float32)
    whole = np.array([100, 102], np.int64)
    found, refusals = taken(
        a_column([5.5], unit="mmol/L"), a_column(single), a_column(whole), a_column([1.5], unit="g/L")
    )
    assert not refusals
    values = [numbers(block) for block in found.blocks]
    assert values == [[pytest.approx(99.0858)], [100, 101], [100, 102], [pytest.approx(150)]]


@pytest.mark.parametrize(
    ("column", "code"),
    [
        (a_column([1.0], prop="heart/rate"), "reading.property_unknown"),
        (a_column([1.0], unit="mg/DL"), "reading.unit_unknown"),
        (a_column([1.0], unit="mmol"), "reading.unit_incommensurable"),
        (a_column([1.0], unit=""), "reading.unit_incommensurable"),
        (a_column(np.array([True])), "reading.kind_mismatch"),
        (a_column(("high",)), "reading.kind_mismatch"),
    ],
)
def test_a_block_that_the_profile_does_not_know_is_refused_whole(column: Column, code: str) -> None:
    assert refused(a_column([100.0]), column, a_column([100.0])) == [(1, 1, code)]


def test_bounds_are_a_gate_per_reading_in_the_canonical_unit() -> None:
    column = a_column([5.0, np.nan, np.inf, 56.0, 57.0, 0.1, 5.0], unit="mmol/L")
    found, refusals = taken(a_column([100.0]), column)
    assert [(each.index, each.count, each.code) for each in refusals] == [
        (2, 2, "reading.not_finite"),
        (4, 3, "reading.out_of_bounds"),
    ]
    assert refusals[1].detail == "outside 10 to 1000 mg/dL"
    assert found.accepted == 3
    assert (found.blocks[1].quality == REFUSED).tolist() == [False, True, True, True, True, True, False]


def test_what_is_refused_costs_the_others_no_more_than_a_gap() -> None:
    column = a_column([100.0, 101.0, 1e6, 102.0])
    with_spike, _ = taken(column)
    kept = [0, 1, 3]
    with_gap, _ = taken(replace(column, t_us=column.t_us[kept], values=np.asarray(column.values)[kept]))
    assert with_spike.blocks[0].quality.tolist() == [94, 94, REFUSED, 94]
    assert with_gap.blocks[0].quality.tolist() == [94, 94, 94]


def test_time_is_from_1970_to_two_minutes_ahead() -> None:
    late = replace(a_column([100.0] * 4), t_us=np.array([-1, 0, NOON_US + 120_000_000, NOON_US + 120_000_001]))
    assert refused(replace(late, t_us=late.t_us[:2], values=late.values[:2])) == [(0, 1, "reading.time_invalid")]
    assert refused(replace(late, t_us=late.t_us[2:], values=late.values[2:])) == [(1, 1, "reading.time_ahead")]
    far = replace(a_column([100.0]), t_us=np.array([-(2**62)]))
    assert refused(far) == [(0, 1, "reading.time_invalid")]


def test_a_device_that_is_not_enrolled_is_refused_by_block() -> None:
    batch = a_batch(a_column([100.0, 101.0], twin="did:key:zOther"), a_column([100.0]))
    found, refusals = normalise(
        batch, GLUCOSE_PROFILE, NOON_US, lambda twin, _prop: None if twin == TWIN else "reading.not_enrolled"
    )
    assert [(each.index, each.count, each.code) for each in refusals] == [(0, 2, "reading.not_enrolled")]
    assert [block.block.twin for block in found.blocks] == [TWIN]


def test_a_batch_of_which_nothing_is_left_is_empty_and_fully_listed() -> None:
    for column in (a_column([1e6, 1e7]), a_column([1.0, 2.0], prop="other")):
        found, refusals = taken(column)
        assert (found.blocks, found.scores, found.accepted) == ((), None, 0)
        assert sum(each.count for each in refusals) == 2


def test_without_a_clock_times_count_back_from_arrival() -> None:
    column = replace(a_column([100.0, 101.0]), t_us=np.array([40_000_000, 50_000_000]))
    batch = verified(a_stream().batch_without_clock([column], uptime_us=60_000_000))
    found, refusals = normalise(batch, GLUCOSE_PROFILE, NOON_US, everywhere)
    assert not refusals
    assert found.blocks[0].t_us.tolist() == [NOON_US - 20_000_000, NOON_US - 10_000_000]
    assert found.blocks[0].flags.tolist() == [Flag.NO_TIME] * 2


def test_every_kind_has_its_property() -> None:
    columns = [
        a_column(np.array([True, True, True]), prop="open", unit="", period_s=1),
        a_column(
            np.array([[8.5, 47.4, 400.0], [181.0, 0.0, 0.0], [0.0, 91.0, 0.0], [0.0, 0.0, np.inf]]),
            prop="place",
            unit="",
        ),
        a_column(("a", "b"), prop="note", unit=""),
        a_column([7.0], prop="number", unit="kg"),
    ]
    found, refusals = normalise(a_batch(*columns), KINDS, NOON_US, everywhere)
    assert [(each.index, each.count, each.code) for each in refusals] == [
        (4, 2, "reading.out_of_bounds"),
        (6, 1, "reading.not_finite"),
    ]
    by_name = {block.block.property: block for block in found.blocks}
    assert by_name["note"].values == ("a", "b")
    assert np.asarray(by_name["open"].values).tolist() == [1, 1, 1]
    assert by_name["open"].flags.tolist() == [Flag.FLAT] * 3
    assert np.asarray(by_name["place"].values).shape == (4, 3)
    assert by_name["number"].plan.unit == "kg"


def test_a_curve_is_flagged_and_bounded_after_it() -> None:
    acid = a_column([7.0, 15.0], prop="acid", unit="[pH]", period_s=1)
    level = a_column([1e-7, 0.0], prop="level", unit="mol/L", period_s=1)
    found, refusals = normalise(a_batch(acid, level), KINDS, NOON_US, everywhere)
    assert [(each.index, each.code) for each in refusals] == [
        (1, "reading.out_of_bounds"),
        (3, "reading.out_of_bounds"),
    ]
    assert numbers(found.blocks[0]) == pytest.approx([1e-7, 1e-15])
    assert found.blocks[0].flags[0] == Flag.CURVE
    assert numbers(found.blocks[1])[0] == pytest.approx(7)


def test_a_retraction_is_taken_without_values() -> None:
    found, refusals = taken(replace(a_column([0.0, 0.0]), op=Op.RETRACTION))
    assert not refusals
    assert (found.accepted, len(found.blocks[0].values)) == (2, 0)


def test_the_generic_profile_takes_any_number_in_its_own_unit() -> None:
    batch = a_batch(
        a_column([3.0], prop="pump/flow", unit="L/min"), a_column([3.0], prop="x", unit="bogus"), profile="generic@1"
    )
    found, refusals = normalise(batch, GENERIC_PROFILE, NOON_US, everywhere)
    assert [each.code for each in refusals] == ["reading.unit_unknown"]
    assert found.blocks[0].plan.unit == "L/min"
    odd = a_batch(a_column([3.0], prop="no good name"))
    assert normalise(odd, GENERIC_PROFILE, NOON_US, everywhere)[1][0].code == "reading.property_unknown"


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.binary(min_size=8, max_size=80),
            st.sampled_from(["mg/dL", "mmol/L", "[pH]"]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_each_reading_is_either_accepted_or_listed_once(blocks: list[tuple[int, bytes, str]]) -> None:
    parts = []
    for t0, noise, unit in blocks:
        values = np.frombuffer(noise[: len(noise) // 8 * 8], "<f8").astype(np.float64)
        parts.append(encode_block(Column(TWIN, "glucose/level", unit, np.full(len(values), t0, np.int64), values)))
    batch = verified(sign_batch(a_stream().batch([a_column()], NOON_US).header, parts, KEY))
    found, refusals = normalise(batch, GLUCOSE_PROFILE, NOON_US, everywhere)
    listed = [at for each in refusals for at in range(each.index, each.index + each.count)]
    taken_at = [
        block.block.first + at for block in found.blocks for at in np.flatnonzero(block.quality != REFUSED).tolist()
    ]
    assert sorted(listed + taken_at) == list(range(batch.count))
    assert listed == sorted(listed)
