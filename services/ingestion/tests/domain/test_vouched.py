"""Which topics are vouched for, and whose readings come on them."""

import pytest
from didymos_ingestion.domain.vouched import Vouched, vouched
from hypothesis import given
from hypothesis import strategies as st

LEVELS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=8)
TOPICS = st.lists(LEVELS | st.just("{device}"), min_size=1, max_size=4).map("/".join)


def test_a_topic_names_its_device_by_a_level_or_by_the_setting() -> None:
    found = vouched({"ward/7": "did:key:z1", "ward/{device}/senml": "", "{device}": ""})
    assert isinstance(found, Vouched)
    assert found.filters == ("ward/7", "ward/+/senml", "+")
    assert [found.device(topic) for topic in ("ward/7", "ward/did:key:z2/senml", "did:key:z3")] == [
        "did:key:z1", "did:key:z2", "did:key:z3",
    ]  # fmt: skip
    assert [found.device(topic) for topic in ("ward/8", "ward/x/y/senml", "ward//senml/", "")] == [None, None, None, ""]


@pytest.mark.parametrize(
    "topics",
    [
        {"": "did:key:z1"}, {"a/#": "did:key:z1"}, {"a/+": "did:key:z1"}, {"$SYS/x": "did:key:z1"}, {"a": ""},
        {"a/{device}": "did:key:z1"}, {"{device}/{device}": ""}, {"a/x{device}": ""}, {"a\0": "did:key:z1"},
        {"didymos/v1/batch/{device}": ""}, {"didymos/v1/answers/x": "did:key:z1"}, {"didymos/v1/batch": "did:key:z1"},
    ],
)  # fmt: skip
def test_what_cannot_be_vouched_for_is_said(topics: dict[str, str]) -> None:
    assert isinstance(vouched(topics), str)


@given(st.dictionaries(TOPICS, st.sampled_from(["", "did:key:z1"]), max_size=4), TOPICS)
def test_a_topic_leads_to_a_device_only_by_a_pattern_of_its_own(topics: dict[str, str], topic: str) -> None:
    found = vouched(topics)
    if isinstance(found, str):
        return
    device = found.device(topic)
    if device is not None:
        assert any(
            len(pattern.split("/")) == len(topic.split("/"))
            and all(
                mine in (theirs, "{device}") for mine, theirs in zip(pattern.split("/"), topic.split("/"), strict=True)
            )
            for pattern in topics
        )
