"""Constraints and duties: each takes its own values, and tighter is an order."""

import pytest
from didymos_did.conditions import (
    CONSTRAINTS,
    DUTIES,
    Shape,
    Value,
    bounds,
    duration_seconds,
    names,
    tighter,
    well_formed,
)
from didymos_did.errors import DidError
from didymos_did.terms import Term, read_term
from hypothesis import given
from hypothesis import strategies as st

NUMBER = st.integers(-3, 3)
VALUES: st.SearchStrategy[Value] = st.one_of(
    NUMBER, st.booleans(), st.sampled_from(["EU", "NL", "P1D", "P2D", "PT36H"]), st.tuples(NUMBER, NUMBER),
    st.sampled_from([("EU",), ("EU", "NL"), ("NL",), ()]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"), [("P30D", 2_592_000), ("PT30M", 1800), ("P1DT2H3M4S", 93_784), ("PT0S", 0)]
)
def test_durations_are_counted_in_seconds(text: str, seconds: int) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "P1M", "P1Y", "1D", "P-1D", "P1.5D", "p1d", "P1D ", "P99999D"])
def test_durations_of_unknown_length_are_refused(text: str) -> None:
    with pytest.raises(DidError, match=r"grant\.term_malformed"):
        duration_seconds(text)


@given(st.sampled_from(Shape), VALUES, VALUES, VALUES)
def test_tighter_is_an_order_on_well_formed_values(shape: Shape, one: Value, two: Value, three: Value) -> None:
    assert tighter(shape, one, one) == well_formed(shape, one)
    if tighter(shape, one, two) and tighter(shape, two, three):
        assert tighter(shape, one, three)
    if not (well_formed(shape, one) and well_formed(shape, two)):
        assert not tighter(shape, one, two)


@pytest.mark.parametrize(
    ("name", "asked", "given"),
    [
        ("min-cohort", 11, 10), ("max-rate", 1, 2), ("max-epsilon-per-round", 1, 2), ("place", "NL", ("EU", "NL")),
        ("value-range", (2, 3), (1, 3)), ("secure-aggregation", True, False), ("delete-after", "PT1H", "P1D"),
        ("compensate", 6, 5), ("return-model", True, False),
    ],
)  # fmt: skip
def test_each_condition_knows_its_tighter_side(name: str, asked: Value, given: Value) -> None:
    shape = {**CONSTRAINTS, **DUTIES}[name]
    assert tighter(shape, asked, given)
    assert not tighter(shape, given, asked)


def test_yes_is_no_number_and_a_pair_is_no_list_of_names() -> None:
    assert not well_formed(Shape.AT_LEAST, True)
    assert not well_formed(Shape.RANGE, (False, True))
    assert not well_formed(Shape.NAMES, (1, 2))
    assert not well_formed(Shape.DURATION, 30)
    assert bounds("ab") is None
    assert names(3) == frozenset()


@given(VALUES.filter(lambda each: each != ()))
def test_a_term_comes_back_from_an_event(value: Value) -> None:
    assert read_term("place", Term("place", value).value_json) == Term("place", value)


@pytest.mark.parametrize("text", ["", "{}", "null", "1.5", "[]", "[[1]]", "[1,true]", '""', "9" * 19, '["a",1]'])
def test_a_value_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(DidError):
        read_term("place", text)
