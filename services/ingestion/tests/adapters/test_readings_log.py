"""Records of a batch: sealed, one per partition, within the limit, and named so that a repeat is known."""

from dataclasses import replace
from itertools import count

from didymos_contracts.topics import QUARANTINE, READINGS
from didymos_did import TwinId
from didymos_ingestion.adapters.readings_log import RECORD_BYTES, last_offsets, token_of
from didymos_ingestion.application.accept_batch import accept_batch
from didymos_kit.eventlog import Position, envelope
from didymos_kit.eventlog.partition import partition_of
from didymos_readings import parse_profile
from didymos_testing.did import a_signer
from didymos_testing.ingestion import TWIN, AnEnrolment, IntakeWorld, MemoryProfiles, a_signed_batch
from didymos_testing.readings import a_column

NOTES = b'{"id": "notes@1", "title": "Notes", "properties": [{"name": "note", "kind": "text"}]}'


def neighbours(wanted: int) -> list[TwinId]:
    """Twins that share a partition."""
    found: dict[int, list[TwinId]] = {}
    for number in count():
        twin = TwinId(a_signer(f"neighbour {number}").did)
        group = found.setdefault(partition_of(twin.encode(), READINGS.partitions), [])
        group.append(twin)
        if len(group) == wanted:
            return group
    raise AssertionError("endless")


async def test_a_partition_of_a_batch_is_split_where_no_record_could_hold_it() -> None:
    first, second = neighbours(2)
    enrolments = [AnEnrolment(twin=twin, paths=("features/**",), profile="notes@1") for twin in (first, second)]
    world = IntakeWorld().enrol(*enrolments)
    columns = [
        replace(a_column(tuple("x" * 1000 for _ in range(500)), twin=twin, prop="note", period_s=1), unit="")
        for twin in (first, second)
    ]
    ports = replace(world.ports, profiles=MemoryProfiles({"notes@1": parse_profile(NOTES)}))
    found = await accept_batch(a_signed_batch(*columns, profile="notes@1"), ports, world.clock)
    assert found.accepted == 1_000
    one, two = (record for record in world.writer.records if record.topic == READINGS.name)
    assert max(len(one.value or b""), len(two.value or b"")) <= RECORD_BYTES
    ids = [record.headers["ce_id"].decode() for record in (one, two)]
    part = partition_of(first.encode(), READINGS.partitions)
    assert ids == [f"{found.digest.hex()}:{part}", f"{found.digest.hex()}:{part}.1"]
    assert found.token == f"{part}:1"  # of the last: whoever waits for it has both


def test_a_token_names_the_last_place_of_each_partition_and_no_quarantine() -> None:
    positions = [
        Position(READINGS.name, 3, 8), Position(READINGS.name, 5, 1), Position(READINGS.name, 3, 7),
        Position(QUARANTINE.name, 9, 9),
    ]  # fmt: skip
    last = last_offsets(positions)
    assert token_of([3, 5], last) == "3:8,5:1"
    assert token_of([5], last) == "5:1"
    assert token_of([], last_offsets(positions[3:])) == ""


async def test_the_envelope_of_a_record_is_one_of_the_house() -> None:
    world = IntakeWorld()
    found = await accept_batch(a_signed_batch(a_column([100.0, 1e6], twin=TWIN)), world.ports, world.clock)
    said = [envelope.parse(record.headers) for record in world.writer.records]
    assert [each.type for each in said] == [READINGS.events[0], QUARANTINE.events[0]]
    assert {each.time for each in said} == {world.clock.now()}
    assert {each.source for each in said} == {"didymos://test/ingestion"}
    assert said[1].id == f"{found.digest.hex()}:{TWIN}"
