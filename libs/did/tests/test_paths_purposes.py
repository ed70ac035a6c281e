"""Patterns and purposes admit what they name, and nothing wider."""

import itertools

import pytest
from didymos_did.errors import DidError
from didymos_did.paths import includes, matches, parse_path, parse_pattern
from didymos_did.purposes import DPV, Purpose, covered, parse_purpose
from hypothesis import given
from hypothesis import strategies as st

segments = st.sampled_from("ab")
patterns = st.tuples(
    st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3), st.booleans()
).map(lambda each: "/".join([*each[0], *(["**"] if each[1] else [])]))  # fmt: skip
PATHS = ["/".join(path) for size in range(1, 6) for path in itertools.product("ab", repeat=size)]


@given(patterns, patterns)
def test_a_pattern_includes_another_when_it_names_all_its_paths(wide: str, narrow: str) -> None:
    brute = all(matches(wide, path) for path in PATHS if matches(narrow, path))
    # "a","b" are two of infinitely many names: `*` may look included in neither, so brute force may only say more
    if includes(wide, narrow):
        assert brute
    elif "*" in wide.split("/") or "**" in wide.split("/") or wide == narrow:
        assert not brute


@pytest.mark.parametrize("text", ["", "A", "a//b", "a/", "/a", "a/**/b", "**a", "a" * 65, "a/" * 8 + "a", None, 3])
def test_what_is_no_path_is_refused(text: object) -> None:
    with pytest.raises(DidError, match=r"grant\.path_malformed"):
        parse_path(text)
    with pytest.raises(DidError, match=r"grant\.path_malformed"):
        parse_pattern(text)


def test_two_stars_stand_for_one_or_more_segments_at_the_end() -> None:
    assert matches("features/**", "features/glucose/level")
    assert not matches("features/**", "features")
    assert not matches("features/*", "features/glucose/level")
    assert matches("**", "a")


def test_research_and_development_does_not_admit_commercial_research() -> None:
    rd, commercial = Purpose(DPV + "ResearchAndDevelopment"), Purpose(DPV + "CommercialPurpose")
    both = Purpose(DPV + "CommercialResearch")
    assert not covered(both, [rd])
    assert covered(both, [rd, commercial])
    assert covered(Purpose(DPV + "ScientificResearch"), [rd])
    assert not covered(rd, [Purpose(DPV + "ScientificResearch")])


def test_a_purpose_outside_the_table_is_refused() -> None:
    with pytest.raises(DidError, match=r"grant\.purpose_unknown"):
        parse_purpose(DPV + "Purpose")
