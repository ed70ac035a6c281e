"""SenML resolves as RFC 8428 says, and what is not understood is refused."""

import json
from typing import Any

import numpy as np
import pytest
from didymos_readings import (
    DecodeContext,
    ReadingError,
    Refusal,
    Row,
    UnitProblem,
    blocks_of,
    compile_unit,
    decode_senml,
    parse_block,
)
from didymos_readings.senml_units import PRIMARY, SECONDARY
from didymos_testing.readings import NOON_US, TWIN
from hypothesis import given
from hypothesis import strategies as st

CONTEXT = DecodeContext(NOON_US, lambda name: None if name == "nowhere" else (TWIN, name))


def decoded(*records: dict[str, Any]) -> list[Row | Refusal]:
    return list(decode_senml(json.dumps(records).encode(), CONTEXT))


def rows(*records: dict[str, Any]) -> list[tuple[str, str, int, Any]]:
    found = []
    for row in decoded(*records):
        assert isinstance(row, Row), row
        found.append((row.property, row.unit, row.observed_at_us, row.value))
    return found


def test_a_single_datapoint_is_now() -> None:  # section 5.1.1
    assert rows({"n": "urn:dev:ow:10e2073a01080063", "u": "Cel", "v": 23.1}) == [
        ("urn:dev:ow:10e2073a01080063", "Cel", NOON_US, 23.1)
    ]


def test_multiple_datapoints_share_the_base_name() -> None:  # section 5.1.2
    base = "urn:dev:ow:10e2073a01080063:"
    assert rows({"bn": base, "n": "voltage", "u": "V", "v": 120.1}, {"n": "current", "u": "A", "v": 1.2}) == [
        (base + "voltage", "V", NOON_US, 120.1),
        (base + "current", "A", NOON_US, 1.2),
    ]


def test_times_are_relative_to_the_base_time() -> None:  # section 5.1.2, second example
    base = "urn:dev:ow:10e2073a0108006:"
    first = {"bn": base, "bt": 1.276020076001e09, "bu": "A", "bver": 5, "n": "voltage", "u": "V", "v": 120.1}
    rest = [{"n": "current", "t": at, "v": 1.7 + at / 10} for at in (-5, -4, -3, -2, -1)]
    found = rows(first, *rest, {"n": "current", "v": 1.7})
    assert found[0] == (base + "voltage", "V", 1_276_020_076_001_000, 120.1)
    assert [each[2] for each in found[1:]] == [1_276_020_071_001_000 + second * 10**6 for second in range(6)]
    assert {each[1] for each in found[1:]} == {"A"}


def test_a_moving_sensor_names_everything_by_the_base() -> None:  # section 5.1.3
    base = "urn:dev:ow:10e2073a01080063"
    found = rows(
        {"bn": base, "bt": 1.320067464e09, "bu": "%RH", "v": 20},
        {"u": "lon", "v": 24.30621},
        {"u": "lat", "v": 60.07965},
        {"t": 60, "v": 20.3},
    )
    assert found == [
        (base, "%{RH}", 1_320_067_464_000_000, 20.0),
        (base, "deg", 1_320_067_464_000_000, 24.30621),
        (base, "deg", 1_320_067_464_000_000, 60.07965),
        (base, "%{RH}", 1_320_067_524_000_000, 20.3),
    ]


def test_several_types_of_data() -> None:  # section 5.1.5
    found = decoded(
        {"bn": "urn:dev:ow:10e2073a01080063:", "n": "temp", "u": "Cel", "v": 23.1},
        {"n": "label", "vs": "Machine Room"},
        {"n": "open", "vb": False},
        {"n": "nfc-reader", "vd": "aGkgCg"},
    )
    assert [row.value for row in found if isinstance(row, Row)] == [23.1, "Machine Room", False]
    assert found[3] == Refusal("reading.kind_mismatch", "binary data is not taken", 3, 1)


def test_base_values_add_up_and_base_records_may_stand_alone() -> None:
    assert rows({"bn": "a", "bt": 1.32e9, "bv": 20}, {"v": 1.5}, {"t": 10, "v": -1}) == [
        ("a", "", 1_320_000_000_000_000, 21.5),
        ("a", "", 1_320_000_010_000_000, 19.0),
    ]


@pytest.mark.parametrize(
    ("time_s", "at_us"),
    [(0, NOON_US), (-5, NOON_US - 5_000_000), (2**28 - 1, NOON_US + (2**28 - 1) * 10**6), (2**28, 2**28 * 10**6)],
)
def test_a_time_below_2_to_the_28_is_relative_to_now(time_s: float, at_us: int) -> None:
    assert rows({"n": "a", "t": time_s, "v": 1})[0][2] == at_us


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"n": "nowhere", "v": 1}, "reading.subject_unknown"),
        ({"n": "-a", "v": 1}, "reading.subject_unknown"),
        ({"v": 1}, "reading.subject_unknown"),
        ({"n": "a" * 257, "v": 1}, "reading.subject_unknown"),
        ({"n": "a", "u": "bpm", "v": 1}, "reading.unit_unknown"),
        ({"n": "a", "u": "km/h", "v": 1}, "reading.unit_unknown"),
        ({"n": "a", "t": 1e13, "v": 1}, "reading.time_invalid"),
        ({"n": "a", "s": 5}, "reading.kind_mismatch"),
        ({"n": "a", "vs": "x" * 1025}, "reading.kind_mismatch"),
    ],
)
def test_a_record_that_is_not_taken_is_listed(record: dict[str, Any], code: str) -> None:
    found = decoded({"n": "good", "v": 1}, record)
    assert isinstance(found[0], Row)
    assert [(each.code, each.index, each.count) for each in found[1:] if isinstance(each, Refusal)] == [(code, 1, 1)]


def test_a_sum_beside_a_value_is_not_silently_dropped() -> None:
    found = decoded({"n": "a", "v": 1, "s": 5})
    assert [type(each) for each in found] == [Refusal, Row]


def test_secondary_units_need_their_feature() -> None:
    assert rows({"bver": 26, "n": "a", "u": "km/h", "v": 1})[0][1] == "km/h"


@pytest.mark.parametrize(
    "pack",
    [
        [], {}, [5], [{"n": "a", "v": 1, "must_": 1}], [{"n": "a", "v": "1"}], [{"n": "a", "v": True}],
        [{"n": "a", "vb": 1}], [{"n": 5, "v": 1}], [{"n": "a", "v": 1, "vs": "b"}], [{"bver": 42, "n": "a", "v": 1}],
        [{"bver": 10, "n": "a", "v": 1}, {"bver": 26}], [{"bver": 1.5}], [{"n": "a", "v": 10**400}], [{"bver": "10"}],
        [{"n": "a\x00", "v": 1}], [{"n": "a", "vs": "\ud800"}], [{}] * 10_001,
    ],
)  # fmt: skip
def test_a_pack_that_is_not_understood_is_refused_whole(pack: Any) -> None:
    with pytest.raises(ReadingError):
        decode_senml(json.dumps(pack).encode(), CONTEXT)


def test_unknown_fields_without_the_mark_are_ignored() -> None:
    assert len(rows({"n": "a", "v": 1, "colour": "red"})) == 1


@pytest.mark.parametrize(("name", "code"), sorted((PRIMARY | SECONDARY).items()))
def test_every_senml_unit_is_ucum(name: str, code: str) -> None:
    assert not isinstance(compile_unit(code, code), UnitProblem), name


def test_rows_become_blocks_that_know_their_records() -> None:
    found = decoded(
        {"n": "a", "u": "Cel", "t": -2, "v": 1}, {"n": "b", "vs": "x"}, {"n": "a", "u": "Cel", "t": -1, "v": 2},
        {"n": "c", "vb": True}, {"n": "a", "u": "K", "v": 3},
    )  # fmt: skip
    packed = blocks_of(row for row in found if isinstance(row, Row))
    blocks = [parse_block(raw, leaf, 0) for leaf, raw in enumerate(packed.blocks)]
    assert [(block.property, block.unit, block.size) for block in blocks] == [
        ("a", "Cel", 2), ("b", "", 1), ("c", "", 1), ("a", "K", 1),
    ]  # fmt: skip
    assert packed.records.tolist() == [0, 2, 1, 3, 4]
    np.testing.assert_array_equal(blocks[0].column(), [1, 2])
    with pytest.raises(ReadingError):
        blocks_of([Row(0, TWIN, "a", "", NOON_US, "x" * 1025)])


def test_many_rows_of_one_property_become_several_blocks() -> None:
    packed = blocks_of(Row(at, TWIN, "a", "", NOON_US + at, float(at)) for at in range(2500))
    assert [parse_block(raw, 0, 0).size for raw in packed.blocks] == [1024, 1024, 452]
    assert packed.records.tolist() == list(range(2500))


FIELDS = ["bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut", "x", "x_"]
VALUES = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.just("a")


@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5), max_size=6) | VALUES)
def test_any_pack_gives_rows_refusals_or_a_reading_error(pack: Any) -> None:
    try:
        found = list(decode_senml(json.dumps(pack).encode(), CONTEXT))
    except ReadingError:
        return
    blocks_of(row for row in found if isinstance(row, Row) and row.twin)


@given(st.binary(max_size=80))
def test_foreign_bytes_raise_nothing_but_a_reading_error(body: bytes) -> None:
    try:
        list(decode_senml(body, CONTEXT))
    except ReadingError as error:
        assert error.code == "batch.malformed"  # noqa: PT017 - either is right
