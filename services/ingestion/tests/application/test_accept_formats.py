"""Each format comes in by the same door: what is accepted, what is refused, and what vouches for it."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import cbor2
import numpy as np
import pytest
from didymos_contracts.errors import Problem
from didymos_did import TwinId
from didymos_ingestion.application.accept_batch import Taken
from didymos_ingestion.application.accept_events import accept_events
from didymos_ingestion.application.accept_pack import Pack, accept_pack
from didymos_readings import Assurance, Flag, Kind, Op, parse_event, parse_events, parse_header, parse_profile
from didymos_testing.did import a_signer
from didymos_testing.ingestion import DEVICE, TWIN, AnEnrolment, IntakeWorld
from didymos_testing.readings import NOON_US

HOUSE = a_signer("ingestion service")
OTHER = TwinId(a_signer("other twin").did)
AT = "2026-01-01T11:59:00Z"
BEFORE_US = NOON_US - 60_000_000
LOINC = "http://loinc.org"
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation", "status": "final", "effectiveDateTime": AT,
    "code": {"coding": [{"system": LOINC, "code": "99504-3"}]}, "subject": {"reference": "Patient/17"},
    "valueQuantity": {"value": 5.5, "system": "http://unitsofmeasure.org", "code": "mmol/L"},
}  # fmt: skip
MG_DL = 5.5 * 18.0156
VALUES = parse_profile(
    b'{"id": "csv-values@1", "title": "Values", "properties": [{"name": "a"}], "csv": {"time": {"field": "time"},'
    b' "values": [{"field": "value", "property": "a"}]}}'
)
PLACE = parse_profile(b'{"id": "place@1", "title": "Place", "properties": [{"name": "location", "kind": "point"}]}')


def a_world(*paths: str) -> IntakeWorld:
    world = IntakeWorld().enrol(AnEnrolment(paths=paths or ("features/**",), aliases=("Patient/17",)))
    world.profiles.more |= {each.id: each for each in (VALUES, PLACE)}
    return world


def a_pack(media: str, body: Any, **changes: Any) -> Pack:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return replace(Pack(media, raw, DEVICE.did, 1, 0), **changes)


async def sent(world: IntakeWorld, media: str, body: Any, **changes: Any) -> Taken:
    return await accept_pack(a_pack(media, body, **changes), HOUSE, world.ports, world.clock)


async def test_the_same_reading_by_each_format_is_the_same_value() -> None:
    senml = [{"n": "Patient/17/glucose/level", "u": "kg/m3", "v": MG_DL / 100, "t": -60}]
    labelled = [{0: "Patient/17/glucose/level", 1: "kg/m3", 2: MG_DL / 100, 6: -60}]
    entity = {
        "id": "Patient/17", "type": "Person", "@context": {"level": f"{LOINC}/99504-3"},
        "level": {"value": MG_DL / 100, "unitCode": "GL", "observedAt": AT},
    }  # fmt: skip
    event = {
        "specversion": "1.0", "id": "1", "source": "/s", "type": "t", "datacontenttype": "application/fhir+json",
        "data": OBSERVATION,
    }  # fmt: skip
    world = a_world()
    for media, body in (
        ("application/senml+json", senml),
        ("application/senml+cbor", cbor2.dumps(labelled)),
        ("application/fhir+json", OBSERVATION),
        ("application/ld+json", entity),
    ):
        taken = await sent(world, media, body)
        assert (taken.accepted, list(taken.refused)) == (1, []), media
    await accept_events([parse_event(json.dumps(event).encode())], a_pack("", b""), HOUSE, world.ports, world.clock)
    columns = [column for parcel in world.writer.opened() for column in parcel.columns]
    assert len(columns) == 5
    for column in columns:
        assert (column.property, column.unit, column.t_us.tolist()) == (
            "glucose/level",
            "mg/dL",
            [BEFORE_US],
        )
        np.testing.assert_allclose(column.value, [MG_DL], rtol=1e-12)


@pytest.mark.parametrize("assurance", [Assurance.HTTP, Assurance.TOKEN, Assurance.GATEWAY])
async def test_what_vouches_for_a_pack_is_on_its_parcel(assurance: Assurance) -> None:
    world = a_world()
    await sent(world, "application/fhir+json", OBSERVATION, assurance=assurance, original=b"proof")
    (event,) = world.writer.accepted()
    assert int(event.parcels[0].assurance) == assurance
    assert world.writer.opened()[0].original == b"proof"


async def test_what_proves_a_pack_is_kept_for_one_twin_alone() -> None:
    """The body tells of every twin in it; an owner is not shown what is another's."""
    world = a_world()
    world.enrol(AnEnrolment(aliases=("Patient/17",)), AnEnrolment(twin=OTHER, aliases=("Patient/18",)))
    other = {**OBSERVATION, "subject": {"reference": "Patient/18"}}
    stranger = {**OBSERVATION, "subject": {"reference": "Patient/19"}}
    for entries in ([OBSERVATION, other], [OBSERVATION, stranger]):
        bundle = {"resourceType": "Bundle", "entry": [{"resource": each} for each in entries]}
        await sent(world, "application/fhir+json", bundle, assurance=Assurance.HTTP, original=b"proof")
    assert [parcel.original for parcel in world.writer.opened()] == [b""] * 3
    await sent(world, "application/fhir+json", OBSERVATION, original=bytes((256 << 10) + 1))
    assert world.writer.opened()[-1].original == b""


async def test_an_observation_in_error_becomes_a_retraction() -> None:
    world = a_world()
    taken = await sent(world, "application/fhir+json", {**OBSERVATION, "status": "entered-in-error"})
    assert taken.accepted == 1
    (column,) = world.writer.opened()[0].columns
    assert (column.op, column.property, column.t_us.tolist()) == (
        Op.RETRACTION,
        "glucose/level",
        [BEFORE_US],
    )


async def test_readings_without_a_time_are_flagged_and_go_apart() -> None:
    world = a_world()
    world.enrol(AnEnrolment(paths=("features/**",), aliases=("Room/1",), profile="generic@1"))
    entity = {"id": "Room/1", "type": "Room", "a": {"value": 1, "observedAt": AT}, "b": 2}
    taken = await sent(world, "application/ld+json", entity, number=9)
    assert taken.accepted == 2
    timed, untimed = world.writer.opened()
    assert [column.flags.tolist() for column in timed.columns] == [[0]]
    assert [column.flags.tolist()[0] & 128 for column in untimed.columns] == [128]
    assert untimed.columns[0].t_us.tolist() == [NOON_US]
    assert [parse_header(each.header).number for each in (timed, untimed)] == [9, 0]
    assert len({parcel.digest for event in world.writer.accepted() for parcel in event.parcels}) == 2


async def test_old_data_by_intent_is_not_scored_for_being_late() -> None:
    old = {**OBSERVATION, "effectiveDateTime": "2025-06-01T12:00:00Z"}
    found = []
    for backfill in (False, True):
        world = a_world()
        await sent(world, "application/fhir+json", old, backfill=backfill)
        (column,) = world.writer.opened()[0].columns
        found.append((int(column.quality[0]) == 0, int(column.flags[0])))
    assert found == [(True, Flag.LATE), (False, Flag.BACKFILL)]


async def test_an_event_is_known_by_its_source_and_id() -> None:
    world = a_world()
    said = {"specversion": "1.0", "source": "/s", "type": "t", "datacontenttype": "application/fhir+json"}
    events = [{**said, "id": str(at), "data": OBSERVATION} for at in (1, 2, 1)]
    taken = await accept_events(
        parse_events(json.dumps(events).encode()), a_pack("", b"", number=5), HOUSE, world.ports, world.clock
    )
    assert (taken.accepted, taken.refused) == (3, [])
    first, other, again = (record.headers["ce_id"] for record in world.writer.records)
    assert first == again != other
    assert [parse_header(each.header).number for each in world.writer.opened()] == [0, 0, 0]


async def test_an_event_is_the_same_however_its_request_was_signed() -> None:
    world = a_world()
    said = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "datacontenttype": "application/senml+json"}
    event = parse_event(json.dumps({**said, "data": [{"n": "glucose/level", "u": "kg/m3", "v": 1}]}).encode())
    for apart in (b"one signature", b"another"):
        await accept_events([event], a_pack("", b"", apart=apart), HOUSE, world.ports, world.clock)
    first, again = (record.headers["ce_id"] for record in world.writer.records)
    assert first == again


async def test_of_several_events_refusals_name_the_event() -> None:
    world = a_world()
    said = {"specversion": "1.0", "source": "/s", "type": "t"}
    bad = {**OBSERVATION, "status": "unknown"}
    events = [
        {**said, "id": "1", "datacontenttype": "application/fhir+json", "data": OBSERVATION},
        {**said, "id": "2", "datacontenttype": "application/fhir+json", "data": bad},
        {**said, "id": "3", "datacontenttype": "image/png", "data_base64": "AA=="},
        {**said, "id": "4", "datacontenttype": "application/senml+json", "data": {}},
    ]
    body = json.dumps(events).encode()
    taken = await accept_events(parse_events(body), a_pack("", b""), HOUSE, world.ports, world.clock)
    assert taken.accepted == 1
    assert [(each.index, each.code) for each in taken.refused] == [
        (1, "reading.malformed"), (2, "batch.media_unsupported"), (3, "batch.malformed"),
    ]  # fmt: skip
    with pytest.raises(Problem) as raised:
        await accept_events([], a_pack("", b""), HOUSE, world.ports, world.clock)
    assert raised.value.row.code == "batch.malformed"


async def test_the_time_and_subject_of_an_event_hold_for_what_says_none() -> None:
    world = a_world()
    world.enrol(AnEnrolment(paths=("features/**",), profile="generic@1"))
    said = {
        "specversion": "1.0", "id": "1", "source": "/s", "type": "t", "time": AT, "subject": TWIN,
        "datacontenttype": "application/ld+json", "data": {"id": TWIN, "type": "X", "a": 1},
    }  # fmt: skip
    await accept_events([parse_event(json.dumps(said).encode())], a_pack("", b""), HOUSE, world.ports, world.clock)
    (parcel,) = world.writer.opened()
    assert parcel.columns[0].t_us.tolist() == [BEFORE_US]
    assert parcel.columns[0].flags.tolist() == [0]


def many(count: int) -> bytes:
    lines = [f"2026-01-01T11:{at // 60 % 60:02}:{at % 60:02}.{at // 3600:03}Z,{100 + at % 7}" for at in range(count)]
    return ("time,value\n" + "\n".join(lines)).encode()


async def test_a_long_file_is_kept_batch_by_batch_and_charged_once() -> None:
    world = a_world()
    world.enrol(AnEnrolment(paths=("features/**",), profile="csv-values@1", max_rate=2000))
    body = many(20_001)
    taken = await sent(world, "text/csv", body, profile="csv-values@1", number=3)
    assert (taken.accepted, taken.digest) == (20_001, sha256(body).digest())
    parcels = [parcel for event in world.writer.accepted() for parcel in event.parcels]
    assert [parcel.count for parcel in parcels] == [10_000, 10_000, 1]
    assert [parcel.number for parcel in parcels] == [3, 0, 0]
    assert len({parcel.digest for parcel in parcels}) == 3
    with pytest.raises(Problem) as raised:
        await sent(world, "text/csv", body, profile="csv-values@1")
    assert raised.value.row.code == "quota.exceeded"


async def test_a_file_of_sparse_times_is_cut_until_it_fits() -> None:
    world = a_world()
    world.enrol(AnEnrolment(paths=("features/**",), profile="csv-values@1"))
    lines = [f"{1975 + at // 366}-01-01T{at % 24:02}:00:00.00000{at % 9 + 1}Z,1" for at in range(3000)]
    taken = await sent(world, "text/csv", ("time,value\n" + "\n".join(sorted(set(lines)))).encode())
    assert taken.accepted == len(set(lines))


REFUSED: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("batch.media_unsupported", "image/png", b"", {}),
    ("batch.media_unsupported", "text/csv", b"time,value\n", {}),  # glucose@1 maps none
    ("batch.media_unsupported", "application/json", b"{}", {}),
    ("profile.unknown", "text/csv", b"", {"profile": "nothing@1"}),
    ("profile.unknown", "application/fhir+json", OBSERVATION, {"profile": "flash-glucose@1"}),  # not enrolled under it
    ("batch.malformed", "application/fhir+json", b"{}", {}),
    ("batch.malformed", "application/fhir+json", {"resourceType": "Bundle"}, {}),
    ("batch.malformed", "application/senml+cbor", b"\xff", {}),
    ("batch.malformed", "application/ld+json", b"[]", {}),
    ("batch.too_large", "application/fhir+json", b" " * ((1 << 20) + 1), {}),
    ("reading.malformed", "application/fhir+json", {**OBSERVATION, "status": "unknown"}, {}),
    ("reading.subject_unknown", "application/fhir+json", {**OBSERVATION, "subject": {"reference": "Patient/9"}}, {}),
    ("reading.time_invalid", "application/fhir+json", {**OBSERVATION, "effectiveDateTime": "2026"}, {}),
    ("reading.time_invalid", "application/fhir+json", {**OBSERVATION, "effectiveDateTime": "1969-12-31T23:59:59Z"}, {}),
    ("reading.time_ahead", "application/fhir+json", {**OBSERVATION, "effectiveDateTime": "2026-01-01T12:02:01Z"}, {}),
    ("reading.property_unknown", "application/fhir+json", {**OBSERVATION, "code": {}}, {}),
    ("reading.kind_mismatch", "application/fhir+json",
     {**{k: v for k, v in OBSERVATION.items() if k != "valueQuantity"}, "valueString": "high"}, {}),
    ("reading.unit_unknown", "application/fhir+json",
     {**OBSERVATION, "valueQuantity": {"value": 1, "unit": "mg/dL"}}, {}),
    ("reading.unit_unknown", "application/fhir+json",
     {**OBSERVATION, "valueQuantity": {**OBSERVATION["valueQuantity"], "code": "furlongs"}}, {}),
    ("reading.unit_incommensurable", "application/fhir+json",
     {**OBSERVATION, "valueQuantity": {**OBSERVATION["valueQuantity"], "code": "kg"}}, {}),
    ("reading.out_of_bounds", "application/fhir+json",
     {**OBSERVATION, "valueQuantity": {**OBSERVATION["valueQuantity"], "value": 1e6}}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("code", "media", "body", "changes"), REFUSED)
async def test_what_is_refused(code: str, media: str, body: Any, changes: dict[str, Any]) -> None:
    world = a_world()
    with pytest.raises(Problem) as raised:
        await sent(world, media, body, **changes)
    assert raised.value.row.code == code
    assert world.writer.accepted() == []


def suspended(world: IntakeWorld) -> None:
    world.lifecycles.closed.add(TWIN)


def erased(world: IntakeWorld) -> None:
    world.keys.gone.add(TWIN)


def put_out(world: IntakeWorld) -> None:
    world.identity.out.add(DEVICE.did)


def lost(world: IntakeWorld) -> None:
    world.enrol(AnEnrolment(aliases=("Patient/17",), lost_since_us=NOON_US - 1))


def not_enrolled(world: IntakeWorld) -> None:
    world.identity.enrolled.clear()


def under_two_profiles(world: IntakeWorld) -> None:
    world.enrol(AnEnrolment(aliases=("Patient/17",)), AnEnrolment(twin=OTHER, profile="generic@1"))


def without_vault(world: IntakeWorld) -> None:
    world.keys.away = True


def without_log(world: IntakeWorld) -> None:
    world.writer.full = True


def exhausted(world: IntakeWorld) -> None:
    world.buckets.take(DEVICE.did, 100_000, 2000, world.clock.monotonic())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (suspended, "twin.suspended"),
        (erased, "key.destroyed"),
        (put_out, "batch.device_unknown"),
        (not_enrolled, "batch.device_unknown"),
        (lost, "batch.device_lost"),
        (under_two_profiles, "profile.unknown"),
        (without_vault, "platform.unavailable"),
        (without_log, "platform.unavailable"),
        (exhausted, "quota.exceeded"),
    ],
)
async def test_when_a_pack_is_refused(change: Callable[[IntakeWorld], None], code: str) -> None:
    world = a_world()
    change(world)
    with pytest.raises(Problem) as raised:
        await sent(world, "application/fhir+json", OBSERVATION)
    assert raised.value.row.code == code
    assert world.writer.accepted() == []


async def test_who_is_not_enrolled_for_a_property_is_refused_and_nothing_is_kept() -> None:
    world = a_world("features/meal/**")
    with pytest.raises(Problem) as raised:
        await sent(world, "application/fhir+json", OBSERVATION)
    assert (raised.value.row.code, world.writer.records) == ("reading.not_enrolled", [])


async def test_what_a_reader_of_the_profile_refuses_is_kept_for_its_owner() -> None:
    world = a_world()
    too_high = {**OBSERVATION, "valueQuantity": {**OBSERVATION["valueQuantity"], "value": 1e6}}
    with pytest.raises(Problem):
        await sent(world, "application/fhir+json", too_high)
    (kept,) = world.writer.quarantined()
    assert [each.code for each in kept.parcel.refused] == ["reading.out_of_bounds"]


async def test_a_place_is_a_point() -> None:
    world = a_world()
    world.enrol(AnEnrolment(paths=("features/**",), profile="place@1", aliases=("Car/1",)))
    entity = {"id": "Car/1", "type": "Vehicle", "location": {"type": "Point", "coordinates": [13.4, 52.5]}}
    taken = await sent(world, "application/ld+json", entity)
    assert taken.accepted == 1
    (column,) = world.writer.opened()[0].columns
    assert (column.kind, column.value.tolist()) == (Kind.POINT, [[13.4, 52.5, 0.0]])
