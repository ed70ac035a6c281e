"""What the tails of twin-state's topics tell ingestion."""

from datetime import UTC, datetime

import pytest
from didymos.twin.v1.twin_events_pb2 import ProfilePublished, TwinLifecycleChanged
from didymos.twin.v1.twin_types_pb2 import Lifecycle
from didymos_contracts.errors import Problem
from didymos_contracts.topics import TWIN_LIFECYCLE, TWIN_PROFILE
from didymos_did import Ed25519Signer, jcs, sign_document
from didymos_ingestion.adapters.protobuf import erased_twin, kept_refusals
from didymos_ingestion.adapters.twin_tails import LifecycleTable, ProfileTable
from didymos_kit.eventlog import Stored
from didymos_testing.did import OWNER
from didymos_testing.ingestion import TWIN
from hypothesis import given
from hypothesis import strategies as st

STATES = (
    Lifecycle.LIFECYCLE_DRAFT, Lifecycle.LIFECYCLE_ACTIVE, Lifecycle.LIFECYCLE_SUSPENDED, Lifecycle.LIFECYCLE_RETIRED,
    Lifecycle.LIFECYCLE_ERASED,
)  # fmt: skip


def lived(lifecycle: int, revision: int) -> Stored:
    event = TwinLifecycleChanged(twin=TWIN, lifecycle=lifecycle, revision=revision)  # type: ignore[arg-type]
    event.at.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    return Stored(TWIN_LIFECYCLE.name, b"", event.SerializeToString(), {}, 0, 0, revision)


def published(document: bytes, profile: str = "mine@1") -> Stored:
    event = ProfilePublished(profile=profile, document=document)
    return Stored(TWIN_PROFILE.name, b"", event.SerializeToString(), {}, 0, 0, 0)


AT = datetime(2026, 1, 1, tzinfo=UTC)


def a_document(title: str, signer: Ed25519Signer = OWNER) -> bytes:
    said = {"id": "mine@1", "title": title, "properties": [{"name": "level"}]}
    return jcs(sign_document(said, signer, AT))


MINE = a_document("Mine")


@given(st.lists(st.sampled_from(STATES), min_size=1), st.data())
def test_the_last_revision_decides_in_any_order_and_with_repeats(states: list[int], draws: st.DataObject) -> None:
    records = [lived(state, revision) for revision, state in enumerate(states)]
    table = LifecycleTable()
    for record in draws.draw(st.permutations(records + records[::2])):
        table.apply(record)
    assert table.takes_readings(TWIN) == (states[-1] in STATES[:2])


def test_a_twin_nobody_spoke_of_is_open() -> None:
    table = LifecycleTable()
    table.apply(Stored(TWIN_LIFECYCLE.name, b"", None, {}, 0, 0, 0))
    assert table.takes_readings(TWIN)


def test_a_profile_is_known_when_it_was_published_and_never_changes() -> None:
    table = ProfileTable()
    assert table.find("mine@1") is None
    table.apply(published(MINE))
    first = table.find("mine@1")
    table.apply(published(a_document("Yours")))
    assert first is not None
    assert table.find("mine@1") is first
    assert table.find("glucose@1") is not None


@pytest.mark.parametrize(
    "record",
    [published(b"{}"), published(MINE, "other@1"), published(MINE.replace(b"Mine", b"Yours")), published(b"\xff")],
)
def test_a_profile_that_is_none_is_left_out(record: Stored) -> None:
    table = ProfileTable()
    table.apply(record)
    table.apply(Stored(TWIN_PROFILE.name, b"", None, {}, 0, 0, 0))
    assert (table.find("mine@1"), table.find("other@1")) == (None, None)


def test_records_that_are_no_message_are_the_dead_letters_business() -> None:
    odd = Stored(TWIN_LIFECYCLE.name, b"", b"\xff", {}, 0, 0, 0)
    for parse in (erased_twin, kept_refusals):
        with pytest.raises(Problem) as raised:
            parse(odd)
        assert raised.value.row.code == "platform.malformed"
    assert erased_twin(lived(Lifecycle.LIFECYCLE_ERASED, 1)) == TWIN
    assert erased_twin(lived(Lifecycle.LIFECYCLE_ACTIVE, 1)) is None
