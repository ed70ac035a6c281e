"""Canonical JSON equals RFC 8785, and the parser lets nothing doubtful in."""

import json

import pytest
import rfc8785
from didymos_did.errors import DidError
from didymos_did.jcs import jcs, parse_strict, strict_object
from hypothesis import given
from hypothesis import strategies as st

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(plain)
def test_the_fast_path_writes_what_rfc_8785_writes(value: object) -> None:
    try:
        expected = rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(DidError):
            jcs(value)
    else:
        assert jcs(value) == expected


def test_the_example_of_the_rfc() -> None:
    said = {"numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 1e-27], "string": "\u20ac$\u000f\nA'B\"\\\\\"/", "literals": [None, True, False]}  # fmt: skip
    assert jcs(said) == (
        b'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        b'"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a":1,"a":2}', "platform.malformed"),
        (b'{"a":NaN}', "platform.malformed"),
        (b'{"a":-Infinity}', "platform.malformed"),
        (b'{"a":1.5}', "platform.malformed"),
        (b'{"a":1e400}', "platform.malformed"),
        (b'{"a":' + b"9" * 5000 + b"}", "platform.malformed"),
        (b"[" * 40 + b"]" * 40, "platform.malformed"),
        (b"\xff{}", "platform.malformed"),
        (b'{"a":', "platform.malformed"),
        (b" " * 70_000, "platform.too_large"),
    ],
)
def test_doubtful_json_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(DidError) as raised:
        parse_strict(body)
    assert raised.value.code == code


def test_floats_are_accepted_only_where_they_are_asked_for() -> None:
    assert parse_strict(b"[1.5]", floats=True) == [1.5]
    with pytest.raises(DidError, match="out of range"):
        parse_strict(b"[1e400]", floats=True)


def test_brackets_inside_texts_are_no_depth() -> None:
    assert parse_strict(json.dumps({"a": "[" * 100 + '\\"'}).encode()) == {"a": "[" * 100 + '\\"'}


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_a_clear_refusal(body: bytes) -> None:
    try:
        parse_strict(body)
    except DidError as error:
        assert error.code.startswith("platform.")


def test_an_object_has_its_members_and_no_others() -> None:
    assert strict_object(b'{"a":1,"b":2}', "a", optional=("b",)) == {"a": 1, "b": 2}
    with pytest.raises(DidError) as raised:
        strict_object(b'{"a":1,"c":2}', "a")
    assert raised.value.values["pointer"] == "/c"
    with pytest.raises(DidError, match="missing"):
        strict_object(b"{}", "a")
    with pytest.raises(DidError, match="object"):
        strict_object(b"[]", "a")
