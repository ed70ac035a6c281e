"""Canonical JSON equals RFC 8785, and the parser lets nothing doubtful in."""

import json
import time
from contextlib import suppress
from hashlib import sha256

import pytest
import rfc8785
from didymos_did.errors import DidError
from didymos_did.jcs import digest, jcs, parse_strict, strict_object
from hypothesis import given
from hypothesis import strategies as st

numbers = st.integers(-(2**54), 2**54) | st.floats()
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


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
    said = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 1e-27],
        "string": '\u20ac$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
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


@given(st.binary(max_size=200) | st.text('{}[]":,\\\\0a', max_size=80).map(str.encode))
def test_any_bytes_are_json_or_a_clear_refusal(body: bytes) -> None:
    with suppress(DidError):
        said = parse_strict(body)
        assert said == json.loads(body)


@pytest.mark.parametrize("opening", [b'"', b"[" * 33 + b'"'])
@pytest.mark.parametrize("filling", [b'\\"', b"\\\\", b"a", b'"', b'"\\'])
def test_hostile_texts_are_refused_in_linear_time(opening: bytes, filling: bytes) -> None:
    body = opening + filling * (60_000 // len(filling))
    begun = time.process_time()
    with pytest.raises(DidError):
        parse_strict(body)
    assert time.process_time() - begun < 1  # the quadratic form took a minute


def test_what_json_cannot_say_has_no_canonical_form() -> None:
    endless: list[object] = []
    endless.append(endless)
    for value in ("\ud800", {"\ud800": 1}, float("nan"), 2**53, b"", {1: 2}, object(), endless):
        with pytest.raises(DidError, match=r"platform\.malformed"):
            jcs(value)


def test_keys_beyond_the_first_plane_are_sorted_by_utf_16() -> None:
    assert jcs({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()  # RFC 8785 section 3.2.3


def test_a_digest_is_the_multihash_of_the_canonical_form() -> None:
    assert digest({"b": 1, "a": 2}) == b"\x12\x20" + sha256(b'{"a":2,"b":1}').digest()


def test_an_object_has_its_members_and_no_others() -> None:
    assert strict_object(b'{"a":1,"b":2}', "a", optional=("b",)) == {"a": 1, "b": 2}
    with pytest.raises(DidError) as raised:
        strict_object(b'{"a":1,"c":2}', "a")
    assert raised.value.values["pointer"] == "/c"
    with pytest.raises(DidError, match="missing"):
        strict_object(b"{}", "a")
    with pytest.raises(DidError, match="object"):
        strict_object(b"[]", "a")
