"""The partition function is Kafka's; the envelope is that of CloudEvents; ranges are dealt as Kafka deals them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.partitioner import murmur2 as kafkas_murmur2
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from didymos_contracts.topics import Topic
from didymos_kit.eventlog import Part
from didymos_kit.eventlog.envelope import Envelope, EnvelopeError, build, event_id, event_type, parse
from didymos_kit.eventlog.partition import murmur2, partition_of
from didymos_kit.eventlog.sqlite_group import assign_range
from hypothesis import given
from hypothesis import strategies as st

ENVELOPE = Envelope(
    id="01a2", source="didymos://hospital/identity", type="didymos.identity.v1.ConsentChanged",
    time=datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC), subject="did:web:twin",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)  # fmt: skip
texts = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40)
times = st.datetimes(datetime(2000, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
envelopes = st.builds(
    Envelope, id=texts, source=texts, type=texts, time=times, subject=st.just("") | texts,
    traceparent=st.none() | texts, content_type=st.just("application/protobuf") | texts,
)  # fmt: skip


# Kafka's own UtilsTest.testMurmur2, as unsigned numbers.
@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536),
     (b"a-little-bit-longer-string", -1486304829), (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
     (b"abc", 479470107)],
)  # fmt: skip
def test_the_hash_is_that_of_kafkas_own_test(data: bytes, expected: int) -> None:
    assert murmur2(data) == expected % (1 << 32)


@given(st.binary(max_size=80), st.integers(1, 256))
def test_the_partition_is_the_one_that_kafkas_clients_choose(route: bytes, partitions: int) -> None:
    assert partition_of(route, partitions) == (kafkas_murmur2(route) & 0x7FFFFFFF) % partitions


@given(envelopes)
def test_an_envelope_comes_back_from_its_headers(envelope: Envelope) -> None:
    assert parse(build(envelope)) == envelope


def test_cloudevents_reads_what_we_build() -> None:
    event = from_binary(KafkaMessage(headers=build(ENVELOPE), key=b"k", value=b"\xff\x01"), JSONFormat(), CloudEvent)
    assert (event.get_id(), event.get_source(), event.get_type()) == (ENVELOPE.id, ENVELOPE.source, ENVELOPE.type)
    assert (event.get_time(), event.get_subject()) == (ENVELOPE.time, ENVELOPE.subject)
    assert (event.get_datacontenttype(), event.get_specversion()) == ("application/protobuf", "1.0")
    assert event.get_data() == b"\xff\x01"


def test_we_read_what_cloudevents_builds() -> None:
    attributes = {
        "id": ENVELOPE.id, "source": ENVELOPE.source, "type": ENVELOPE.type, "time": ENVELOPE.time,
        "subject": ENVELOPE.subject, "datacontenttype": "application/protobuf", "specversion": "1.0",
    }  # fmt: skip
    message = to_binary(CloudEvent(attributes, b"\xff\x01"), JSONFormat())
    found = parse(message.headers)
    assert (found.id, found.source, found.type, found.time, found.subject) == (
        ENVELOPE.id, ENVELOPE.source, ENVELOPE.type, ENVELOPE.time, ENVELOPE.subject,
    )  # fmt: skip
    assert found.content_type == "application/protobuf"


@pytest.mark.parametrize(
    ("header", "value"),
    [("ce_id", None), ("ce_id", b""), ("ce_id", b"\xff"), ("ce_type", None), ("ce_source", None), ("ce_time", None),
     ("ce_time", b"yesterday"), ("ce_time", b"2026-11-24T12:00:00"), ("ce_time", b"0001-01-01T00:00:00+14:00"),
     ("ce_specversion", b"0.3"), ("content-type", None), ("traceparent", b"\xff")],
)  # fmt: skip
def test_headers_that_are_no_envelope_are_named(header: str, value: bytes | None) -> None:
    headers = build(ENVELOPE)
    if value is None:
        del headers[header]
    else:
        headers[header] = value
    with pytest.raises(EnvelopeError, match=header) as raised:
        parse(headers)
    assert raised.value.code == "platform.malformed"
    assert raised.value.values["pointer"] == f"/headers/{header}"


def test_an_event_needs_a_name_and_a_zone() -> None:
    for changes in ({"id": ""}, {"source": ""}, {"type": ""}, {"time": datetime(2026, 1, 1)}):  # noqa: DTZ001 - the case
        said = {name: getattr(ENVELOPE, name) for name in ("id", "source", "type", "time")} | changes
        with pytest.raises(EnvelopeError):
            build(Envelope(**said))


def test_times_are_told_in_utc() -> None:
    there = datetime(2026, 11, 24, 14, tzinfo=timezone(timedelta(hours=2)))
    assert build(Envelope("i", "s", "t", there))["ce_time"] == b"2026-11-24T12:00:00Z"


def test_dispatch_and_dedupe_read_two_headers_only() -> None:
    headers = {"ce_id": b"1", "ce_source": b"s", "ce_type": b"t"}
    assert (event_type(headers), event_id(headers)) == ("t", ("s", "1"))
    with pytest.raises(EnvelopeError, match="ce_type"):
        event_type({})


class Cluster:
    """What both assignors ask about topics."""

    def __init__(self, counts: dict[str, int]) -> None:
        self._counts = counts

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self._counts[topic]))

    def numbers(self, topic: Topic) -> range:
        return range(self._counts[topic])


topics = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 9), min_size=1)


@given(topics, st.integers(1, 6), st.data())
def test_parts_are_dealt_as_kafkas_range_assignor_deals_them(
    counts: dict[str, int], members: int, draws: st.DataObject
) -> None:
    some = st.sets(st.sampled_from(sorted(counts)), min_size=1)
    wants = {member: sorted(draws.draw(some)) for member in range(members)}
    ours = assign_range({member: [Topic(name) for name in names] for member, names in wants.items()}, Cluster(counts))  # type: ignore[arg-type]
    theirs = RangePartitionAssignor.assign(
        Cluster(counts), {str(member): ConsumerProtocolMemberMetadata(0, names, b"") for member, names in wants.items()}
    )
    for member in wants:
        dealt = {Part(Topic(name), number) for name, numbers in theirs[str(member)].assignment for number in numbers}
        assert ours[member] == dealt
