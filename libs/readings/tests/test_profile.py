"""A profile says what a property is, or is refused with the member at fault."""

import json
from decimal import Decimal
from typing import Any

import pytest
from didymos_readings import Bounds, ReadingError, built_in_profiles, parse_profile
from hypothesis import given
from hypothesis import strategies as st


def a_profile(**prop: Any) -> bytes:
    return json.dumps({"id": "p@1", "title": "P", "properties": [{"name": "a/b", **prop}]}).encode()


def test_glucose_is_built_in() -> None:
    level = built_in_profiles()["glucose@1"].properties["glucose/level"]
    assert (level.unit, level.hard, level.soft) == ("mg/dL", Bounds(10, 1000), Bounds(40, 400))
    assert (level.period_s, level.latency_s, level.molar_mass) == (300, 900, Decimal("180.156"))


def test_a_property_has_defaults() -> None:
    found = parse_profile(a_profile()).properties["a/b"]
    assert (found.kind, found.unit, found.latency_s, found.hard) == ("number", None, 0, None)


@pytest.mark.parametrize(
    "prop",
    [
        {"name": ""}, {"name": "a b"}, {"name": "a/b/c/d/e"}, {"kind": "vector"}, {"unit": "psi"}, {"unit": 5},
        {"hard": [2, 1]}, {"hard": [1]}, {"hard": [None, 1]}, {"soft": [1, 2]}, {"soft": [0, 2], "hard": [1, 2]},
        {"period_s": 0}, {"period_s": "5"}, {"latency_s": -1}, {"max_rate": True}, {"flat_n": 1}, {"flat_n": 2.5},
        {"molar_mass": 180}, {"molar_mass": "x"}, {"molar_mass": "NaN"}, {"molar_mass": "0"}, {"semantic_ids": "x"},
        {"hard": [0, 10**400]}, {"colour": "red"},
    ],
)  # fmt: skip
def test_a_member_that_breaks_its_rule_is_named(prop: dict[str, Any]) -> None:
    with pytest.raises(ReadingError) as raised:
        parse_profile(a_profile(**prop))
    assert raised.value.code == "profile.malformed"
    assert raised.value.values["pointer"].startswith("/properties/0")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b'{"id": "p@1", "title": "P", "properties": [5]}', b" " * 300_000,
        b'{"id": "p", "title": "P", "properties": []}', b'{"id": "p@1", "properties": []}',
        b'{"id": "p@1", "title": "P", "properties": [{"name": "a"}, {"name": "a"}]}',
        b'{"id": "p@1", "title": "P", "properties": [], "more": 1}',
    ],
)  # fmt: skip
def test_what_is_no_profile_is_refused(body: bytes) -> None:
    with pytest.raises(ReadingError):
        parse_profile(body)


@given(st.binary(max_size=100) | st.text(max_size=60).map(str.encode))
def test_foreign_bytes_raise_nothing_but_a_reading_error(body: bytes) -> None:
    try:
        parse_profile(body)
    except ReadingError as error:
        assert error.code == "profile.malformed"  # noqa: PT017 - either is right


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = [
    "name", "kind", "unit", "semantic_ids", "period_s", "latency_s", "soft", "hard", "max_rate", "flat_n", "molar_mass",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=4), JSON)
def test_any_json_raises_nothing_but_a_reading_error(prop: dict[str, Any], other: Any) -> None:
    said = {"id": "p@1", "title": "P", "properties": [{"name": "a", **prop}], "other": other}
    try:
        parse_profile(json.dumps(said).encode())
    except ReadingError as error:
        assert error.code == "profile.malformed"  # noqa: PT017 - either is right
