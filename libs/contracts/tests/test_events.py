"""Each event parses from the bytes of every release, and the catalogue names each exactly once."""

import json
from pathlib import Path

import pytest
from didymos_contracts.events import EVENTS
from didymos_contracts.topics import TOPICS
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

GOLDEN = Path(__file__).parent / "golden"


def filled(message: Message) -> Message:
    """`message` with every field set to a value that follows from its number; the last member of a oneof wins."""
    for field in message.DESCRIPTOR.fields:
        many = field.is_repeated
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            inner = getattr(message, field.name)
            filled(inner.add() if many else inner)
            continue
        value = {
            FieldDescriptor.TYPE_STRING: f"text-{field.number}",
            FieldDescriptor.TYPE_BYTES: bytes([field.number]) * 3,
            FieldDescriptor.TYPE_BOOL: True,
            FieldDescriptor.TYPE_DOUBLE: field.number + 0.5,
        }.get(field.type, 1 if field.type == FieldDescriptor.TYPE_ENUM else field.number)
        if many:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    return message


def golden(release: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((GOLDEN / f"{release}.json").read_text())
    return found


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_event_writes_the_bytes_it_always_wrote(name: str) -> None:
    assert filled(EVENTS[name]()).SerializeToString(deterministic=True).hex() == golden("unreleased").get(name), (
        "a field changed number or type, or the event is new: run tools/golden.py and read its diff"
    )


@pytest.mark.parametrize("release", sorted(path.stem for path in GOLDEN.glob("*.json")))
def test_the_events_of_every_release_still_parse(release: str) -> None:
    for name, raw in golden(release).items():
        parsed = EVENTS[name].FromString(bytes.fromhex(raw))
        assert parsed.ListFields(), name
        assert not len(UnknownFieldSet(parsed)), name


def test_every_topic_row_is_whole() -> None:
    assert len({row.name for row in TOPICS}) == len(TOPICS)
    for row in TOPICS:
        assert row.partitions in (1, 16, 64), row.name
        assert row.events or row.owner == "any", row.name


def test_an_event_lies_in_one_topic() -> None:
    names = [name for row in TOPICS for name in row.events]
    assert len(names) == len(set(names))
