"""The id of an event is the UUID of RFC 9562 version 5 over its kind, offset and twin."""

from uuid import uuid5

from didymos_twin_state.adapters.announcer import _IDS, event_id
from hypothesis import given
from hypothesis import strategies as st


@given(st.sampled_from(["readings", "writes", "held"]), st.integers(0, 1 << 62), st.text(max_size=80))
def test_an_id_is_a_uuid_of_version_5(kind: str, offset: int, twin: str) -> None:
    assert event_id(kind, offset, twin) == str(uuid5(_IDS, f"{kind}|{offset}|{twin}"))
