"""SenML in CBOR says the same as in JSON, and strict CBOR is asked for."""

import json
from decimal import Decimal
from typing import Any

import cbor2
import pytest
from didymos_readings import DecodeContext, ReadingError, Refusal, Row, decode_senml
from didymos_readings.senml import decode_senml_cbor
from didymos_testing.readings import NOON_US, TWIN
from hypothesis import given
from hypothesis import strategies as st

CONTEXT = DecodeContext(NOON_US, lambda name: (TWIN, name))
LABELS = {"bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "t": 6, "vd": 8}
VECTOR = (  # RFC 8428 section 6, figure 1 and its resolution
    "87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b00106223614120050067766f6c74"
    "61676501615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333a3006763757272656e74062302fb3f"
    "f4cccccccccccda3006763757272656e74062202fb3ff6666666666666a3006763757272656e74062102f93e00a300676375727265"
    "6e74062002fb3ff999999999999aa3006763757272656e74060002fb3ffb333333333333"
)


def labelled(record: dict[str, Any]) -> dict[Any, Any]:
    return {LABELS.get(name, name): value for name, value in record.items()}


def test_the_vector_of_the_rfc() -> None:
    found = list(decode_senml_cbor(bytes.fromhex(VECTOR), CONTEXT))
    base = "urn:dev:ow:10e2073a0108006:"
    rows = [each for each in found if isinstance(each, Row)]
    assert len(found) == len(rows) == 7
    assert (rows[0].property, rows[0].unit, rows[0].value) == (base + "voltage", "V", 120.1)
    assert [row.observed_at_us - rows[-1].observed_at_us for row in rows[1:]] == [
        n * -(10**6) for n in range(5, -1, -1)
    ]
    assert [row.value for row in rows[1:]] == [1.2, 1.3, 1.4, 1.5, 1.6, 1.7]


@given(
    st.lists(
        st.fixed_dictionaries(
            {"n": st.sampled_from(["a", "b/c"]), "v": st.integers(-1000, 1000) | st.floats(-1e6, 1e6)},
            optional={"t": st.integers(-1000, 0), "u": st.sampled_from(["Cel", "V"]), "bt": st.just(1.4e9)},
        ),
        min_size=1,
        max_size=5,
    )
)
def test_json_and_cbor_give_the_same_rows(pack: list[dict[str, Any]]) -> None:
    by_json = list(decode_senml(json.dumps(pack).encode(), CONTEXT))
    assert by_json == list(decode_senml_cbor(cbor2.dumps([labelled(each) for each in pack]), CONTEXT))


def test_numbers_may_be_decimal_fractions() -> None:
    (row,) = decode_senml_cbor(cbor2.dumps([{0: "a", 2: Decimal("273.15")}]), CONTEXT)
    assert isinstance(row, Row)
    assert row.value == 273.15


def test_labels_may_be_texts_and_later_numbers_are_ignored() -> None:
    (row,) = decode_senml_cbor(cbor2.dumps([{"n": "a", "v": 1, 99: [1]}]), CONTEXT)
    assert isinstance(row, Row)
    assert (row.property, row.value) == ("a", 1.0)


def test_binary_data_is_refused_by_its_index() -> None:
    assert list(decode_senml_cbor(cbor2.dumps([{0: "a", 8: b"x"}]), CONTEXT)) == [
        Refusal("reading.kind_mismatch", "binary data is not taken", 0, 1)
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\x81", cbor2.dumps({0: "a"}), cbor2.dumps([1]), cbor2.dumps([]), cbor2.dumps([{0: "a", 2: 1}]) + b"\0",
        b"\x81\xa2\x00\x61a\x00\x61b",  # a repeated key
        b"\x81\xa2\x00\x61a\x61n\x61b",  # the same by label and by name
        cbor2.dumps([{0: "a", 2: 1, "x_": 1}]), cbor2.dumps([{True: "a"}]), cbor2.dumps([{(1, 2): "a"}]),
        cbor2.dumps([{0: "a", 2: float("nan")}]), cbor2.dumps([{0: "a", 2: float("inf")}]),
        cbor2.dumps([{0: "a", 2: 1 << 70}]), cbor2.dumps([{0: "a", 2: cbor2.undefined}]),
        cbor2.dumps([{0: "a", 2: 1, -1: 27}]), b"\x81\xc0\x74" + b"2013-03-21T20:04:00Z",
        b"\x81\xd8\x23\x63" + b"a**", b"\xd8\x1c\x81\xd8\x1d\x00", b"\x81" * 40 + b"\x01",
        b"\x81\xa1\x02\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x81\xa1\x00\x61\xff",
    ],
)  # fmt: skip
def test_what_is_no_senml_is_refused_whole(body: bytes) -> None:
    with pytest.raises(ReadingError) as raised:
        list(decode_senml_cbor(body, CONTEXT))
    assert raised.value.code == "batch.malformed"


def test_a_pack_has_a_limit() -> None:
    with pytest.raises(ReadingError) as raised:
        decode_senml_cbor(bytes((1 << 20) + 1), CONTEXT)
    assert raised.value.code == "batch.too_large"
