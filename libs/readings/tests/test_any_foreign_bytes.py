"""Whatever bytes a decoder is given, it yields rows and refusals that make blocks, or says what is wrong."""

import json
import string
from typing import Any

import cbor2
import pytest
from didymos_readings import (
    DECODERS,
    READINGS_JSON,
    DecodeContext,
    Op,
    ReadingError,
    Refusal,
    Row,
    binary_event,
    blocks_of,
    parse_block,
    parse_event,
    parse_events,
    parse_profile,
    proved_readings,
)
from didymos_readings.mapped_rows import time_of, value_of
from didymos_readings.mapping import Field, TimeField
from didymos_testing.readings import NOON_US, TWIN
from hypothesis import given, settings
from hypothesis import strategies as st

PROFILE = parse_profile(
    json.dumps(
        {
            "id": "any@1",
            "title": "Any",
            "properties": [
                {"name": "a", "semantic_ids": ["s/a"]},
                {"name": "b", "kind": "bool", "semantic_ids": ["s/b"]},
                {"name": "c", "kind": "text", "semantic_ids": ["s/c"]},
                {"name": "d", "kind": "point"},
            ],
            "csv": {
                "time": {"field": "t"},
                "values": [{"field": "a", "property": "a"}, {"field": "c", "property": "c"}],
            },
            "json": {
                "records": "$[*]",
                "values": [{"field": "$.a", "property": "a"}, {"field": "$.b", "property": "b"}],
            },
        }
    ).encode()
)
CONTEXT = DecodeContext(NOON_US, lambda name: (TWIN, name), lambda _: TWIN, PROFILE)
CODES = {
    "batch.malformed", "batch.too_large", "reading.malformed", "reading.kind_mismatch", "reading.not_finite",
    "reading.unit_unknown", "reading.property_unknown", "reading.subject_unknown", "reading.time_invalid",
    "reading.time_ambiguous", "reading.out_of_bounds",
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just("2026-01-01T12:00:00Z"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=10,
)
QUANTITY = {"value": 1, "system": "http://unitsofmeasure.org", "code": "1"}
SAMPLED = {"origin": QUANTITY, "period": 1, "dimensions": 1, "data": "1 E U 2"}
VALUES = {
    "value[x]": JSON, "valueQuantity": st.just(QUANTITY) | JSON, "valueBoolean": JSON, "valueString": JSON,
    "valueSampledData": st.just(SAMPLED) | JSON | st.fixed_dictionaries({}, optional={
        "origin": st.just(QUANTITY), "period": JSON, "factor": JSON, "dimensions": st.just(1) | JSON,
        "data": st.text("0123456789.-eEUL ", max_size=20) | JSON,
    }),
}  # fmt: skip
CODE = st.sampled_from([{"coding": [{"system": "s", "code": code}]} for code in "abcd"]) | JSON
OBSERVATIONS = st.fixed_dictionaries(
    {"resourceType": st.just("Observation") | JSON},
    optional={
        "status": st.sampled_from(["final", "cancelled", "corrected"]) | JSON,
        "code": CODE,
        "effectiveDateTime": st.just("2026-01-01T12:00:00Z") | JSON,
        "effectivePeriod": JSON,
        "component": st.lists(st.fixed_dictionaries({}, optional={"code": CODE, **VALUES}) | JSON, max_size=3) | JSON,
        "subject": JSON,
        "dataAbsentReason": JSON,
        **VALUES,
    },
)
BUNDLES = st.fixed_dictionaries(
    {
        "resourceType": st.just("Bundle"),
        "entry": st.lists(st.fixed_dictionaries({"resource": OBSERVATIONS}) | JSON, max_size=3) | JSON,
    }
)
ATTRIBUTES = JSON | st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["Property", "GeoProperty", "Point", "Relationship"]) | JSON,
        "value": JSON | st.just({"type": "Point", "coordinates": [1, 2]}),
        "coordinates": JSON,
        "unitCode": st.sampled_from(["CEL", "FAH"]) | JSON,
        "observedAt": st.just("2026-01-01T12:00:00Z") | JSON,
    },
)
ENTITIES = st.fixed_dictionaries(
    {"id": st.text(max_size=5) | JSON, "type": st.text(max_size=5) | JSON},
    optional={"a": ATTRIBUTES, "b": ATTRIBUTES, "c": ATTRIBUTES, "d": ATTRIBUTES, "x": ATTRIBUTES, "@context": JSON},
)
EVENTS = st.fixed_dictionaries(
    {"specversion": st.just("1.0") | JSON, "id": st.text(max_size=4) | JSON, "source": st.text(max_size=4) | JSON,
     "type": st.text(min_size=1, max_size=4) | JSON},
    optional={"data": JSON, "data_base64": st.text(string.ascii_letters + "=", max_size=8) | JSON,
              "datacontenttype": st.sampled_from(["text/csv", "application/json", "a/b"]) | JSON, "time": JSON,
              "subject": JSON, "ext": JSON},
)  # fmt: skip
SENML_FIELDS = ["bn", "bt", "bu", "bv", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut", "x_", "y"]
SENML = st.lists(st.dictionaries(st.sampled_from(SENML_FIELDS), JSON, max_size=6), max_size=5)
LABELLED = st.lists(
    st.dictionaries(st.integers(-7, 9) | st.sampled_from(SENML_FIELDS), JSON | st.binary(max_size=4), max_size=6),
    max_size=5,
)
CELLS = st.text(string.printable, max_size=8) | st.sampled_from(["2026-01-01T12:00:00Z", "1.5", "nan", ""])
FILES = st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=5).map(
    lambda rows: "t,a,c\n" + "\n".join(",".join(cells) for cells in rows)
)
ANY = st.binary(max_size=60)


def as_json(said: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return said.map(lambda value: json.dumps(value).encode())


READINGS = st.fixed_dictionaries(
    {},
    optional={
        "twin": st.text(max_size=4) | JSON,
        "property": st.sampled_from("abcd") | JSON,
        "unit": st.text(max_size=4) | JSON,
        "observed_at": st.just("2026-01-01T12:00:00Z") | JSON,
        "value": JSON | st.lists(st.floats(), min_size=3, max_size=3),
        "retracted": st.booleans() | JSON,
    },
)  # fmt: skip
DOCUMENTS = st.fixed_dictionaries(
    {"readings": st.lists(READINGS | JSON, max_size=4) | JSON},
    optional={"device": JSON, "audience": st.just("a") | JSON, "stream": JSON, "number": JSON, "proof": JSON},
)


BODIES: dict[str, st.SearchStrategy[bytes]] = {
    READINGS_JSON: ANY | as_json(DOCUMENTS | JSON),
    "application/senml+json": ANY | as_json(SENML | JSON),
    "application/senml+cbor": ANY | LABELLED.map(cbor2.dumps) | JSON.map(cbor2.dumps),
    "application/fhir+json": ANY | as_json(OBSERVATIONS | BUNDLES | JSON),
    "application/ld+json": ANY | as_json(ENTITIES | st.lists(ENTITIES, max_size=3) | JSON),
    "text/csv": ANY | FILES.map(str.encode),
    "application/json": ANY | as_json(st.lists(st.fixed_dictionaries({}, optional={"a": JSON, "b": JSON})) | JSON),
}


@pytest.mark.parametrize("media", sorted(BODIES))
@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_any_bytes_are_rows_refusals_or_an_error_of_the_catalogue(media: str, data: st.DataObject) -> None:
    try:
        found = list(DECODERS[media](data.draw(BODIES[media]), CONTEXT))
    except ReadingError as error:
        assert error.code in CODES  # noqa: PT017 - either outcome is fine
        return
    assert {each.code for each in found if isinstance(each, Refusal)} <= CODES
    rows = [each for each in found if isinstance(each, Row)]
    if rows:
        blocks = [parse_block(raw, 0, 0) for raw in blocks_of(rows).blocks]
        assert sum(block.size for block in blocks) == len(rows)
        assert {block.op for block in blocks} <= {Op.READING, Op.RETRACTION}


def test_every_decoder_is_among_them() -> None:
    assert {media.replace("sensml", "senml") for media in DECODERS} == set(BODIES)


@given(ANY | as_json(EVENTS | JSON | st.lists(EVENTS, max_size=3)))
@settings(max_examples=200)
def test_any_bytes_as_events(body: bytes) -> None:
    for parse in (parse_event, parse_events):
        try:
            found = parse(body)
        except ReadingError as error:
            assert error.code in CODES  # noqa: PT017 - either outcome is fine
        else:
            assert all(len(event.digest) == 32 for event in (found if isinstance(found, list) else [found]))


@given(st.dictionaries(st.sampled_from(["ce-id", "ce-source", "ce-type", "ce-time", "ce-specversion", "ce-X"]),
                       st.text(max_size=8) | st.just("1.0")))  # fmt: skip
def test_any_headers_as_an_event(headers: dict[str, str]) -> None:
    try:
        assert len(binary_event(headers, b"").digest) == 32
    except ReadingError as error:
        assert error.code in CODES  # noqa: PT017 - either outcome is fine


@given(as_json(DOCUMENTS))
def test_any_document_proves_nothing(body: bytes) -> None:
    with pytest.raises(ReadingError):
        proved_readings(body, "a")


@given(JSON | CELLS, st.sampled_from(["number", "bool", "text", "point"]))
def test_any_value(said: Any, kind: Any) -> None:
    found = value_of(said, kind)
    assert isinstance(found, Refusal) or type(found) in (float, bool, str)


@given(JSON | CELLS, st.sampled_from(["rfc3339", "local", "unix_s", "unix_ms", "count"]))
def test_any_time(said: Any, form: Any) -> None:
    found = time_of(said, TimeField(Field("t", None), form))
    assert isinstance(found, int) or found[0] in CODES
