"""NGSI-LD entities become rows in both forms; units are common codes, and a missing time is said."""

import json
from typing import Any

import pytest
from didymos_readings import DecodeContext, ReadingError, Refusal, Row, UnitProblem, compile_unit, parse_profile
from didymos_readings.cefact_units import CEFACT
from didymos_readings.ngsi_ld import decode_ngsi_ld
from didymos_testing.readings import NOON_US, TWIN

PROFILE = parse_profile(
    json.dumps(
        {
            "id": "air@1",
            "title": "Air",
            "properties": [
                {"name": "temperature", "unit": "Cel", "semantic_ids": ["https://smartdatamodels.org/temperature"]},
                {"name": "co2", "unit": "[ppm]"},
                {"name": "open", "kind": "bool"},
                {"name": "label", "kind": "text"},
                {"name": "location", "kind": "point"},
            ],
        }
    ).encode()
)
ENTITY = "urn:ngsi-ld:AirQualityObserved:1"
TWINS = {ENTITY: TWIN, TWIN: TWIN}
CONTEXT = DecodeContext(NOON_US, lambda _: None, TWINS.get, PROFILE)
AT = "2026-01-01T11:59:00Z"
AT_US = NOON_US - 60_000_000


def decoded(*entities: Any) -> list[Row | Refusal]:
    said = entities[0] if len(entities) == 1 else list(entities)
    return list(decode_ngsi_ld(json.dumps(said).encode(), CONTEXT))


def an_entity(**attributes: Any) -> dict[str, Any]:
    return {"id": ENTITY, "type": "AirQualityObserved", "@context": "https://uri.etsi.org/x.jsonld", **attributes}


def one(**attributes: Any) -> Row:
    (row,) = decoded(an_entity(**attributes))
    assert isinstance(row, Row), row
    return row


@pytest.mark.parametrize(
    "temperature",
    [
        {"type": "Property", "value": 23.8, "unitCode": "CEL", "observedAt": AT, "accuracy": {"value": 1}},
        {"value": 23.8, "unitCode": "CEL", "observedAt": AT},
    ],
)
def test_normalized_and_concise_say_the_same(temperature: dict[str, Any]) -> None:
    assert one(temperature=temperature) == Row(0, TWIN, "temperature", "Cel", AT_US, 23.8)


def test_a_value_alone_is_concise_too_and_has_the_time_of_its_arrival() -> None:
    assert one(temperature=23.8) == Row(0, TWIN, "temperature", "", NOON_US, 23.8, timed=False)
    assert one(open=True).value is True
    assert one(label="Room 3").value == "Room 3"


def test_a_place_is_longitude_latitude_altitude() -> None:
    spot = {"type": "Point", "coordinates": [13.35, 52.51]}
    assert one(location={"type": "GeoProperty", "value": spot, "observedAt": AT}).value == (13.35, 52.51, 0.0)
    assert one(location=spot).value == (13.35, 52.51, 0.0)
    assert one(location={"value": {"type": "Point", "coordinates": [1, 2, 3]}}).value == (1.0, 2.0, 3.0)


def test_a_term_means_what_an_inline_context_says() -> None:
    meaning = "https://smartdatamodels.org/temperature"
    for terms in ({"t": meaning}, {"t": {"@id": meaning}}):
        said = an_entity(t={"value": 1, "unitCode": "FAH"})
        said["@context"] = ["https://uri.etsi.org/x.jsonld", terms]
        (row,) = decoded(said)
        assert isinstance(row, Row)
        assert (row.property, row.unit) == ("temperature", "[degF]")
    assert one(**{meaning: 1}).property == "temperature"


def test_several_instances_of_an_attribute_and_several_entities() -> None:
    values = [{"value": at, "datasetId": f"urn:ngsi-ld:Dataset:{at}", "observedAt": AT} for at in (1, 2)]
    found = decoded(an_entity(co2=values), an_entity(id="urn:ngsi-ld:X:2", co2=3), an_entity(co2=4))
    assert [(each.index, getattr(each, "value", None)) for each in found] == [(0, 1.0), (0, 2.0), (1, None), (2, 4.0)]


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("reading.property_unknown", {"humidity": 5}),
    ("reading.kind_mismatch", {"co2": {"type": "Relationship", "object": "urn:ngsi-ld:X:1"}}),
    ("reading.kind_mismatch", {"co2": {"object": "urn:ngsi-ld:X:1"}}),
    ("reading.kind_mismatch", {"label": {"type": "LanguageProperty", "languageMap": {"en": "x"}}}),
    ("reading.kind_mismatch", {"label": {"languageMap": {"en": "x"}}}),
    ("reading.kind_mismatch", {"co2": {"type": "Property"}}),
    ("reading.kind_mismatch", {"co2": {"type": "Other", "value": 1}}),
    ("reading.kind_mismatch", {"co2": {"value": [1, 2]}}),
    ("reading.kind_mismatch", {"co2": {"value": None}}),
    ("reading.kind_mismatch", {"co2": {"value": "urn:ngsi-ld:null"}}),
    ("reading.kind_mismatch", {"co2": "urn:ngsi-ld:null"}),
    ("reading.kind_mismatch", {"co2": [1, 2]}),
    ("reading.kind_mismatch", {"label": "x" * 1025}),
    ("reading.kind_mismatch", {"location": {"type": "Polygon", "coordinates": []}}),
    ("reading.kind_mismatch", {"location": {"type": "Point", "coordinates": [1]}}),
    ("reading.kind_mismatch", {"location": {"type": "Point", "coordinates": [1, "2"]}}),
    ("reading.unit_unknown", {"co2": {"value": 1, "unitCode": "ppm"}}),
    ("reading.unit_unknown", {"co2": {"value": 1, "unitCode": 59}}),
    ("reading.time_invalid", {"co2": {"value": 1, "observedAt": "2026-01-01T11:59:00"}}),
    ("reading.time_invalid", {"co2": {"value": 1, "observedAt": 5}}),
    ("reading.subject_unknown", {"id": "urn:ngsi-ld:X:2", "co2": 1}),
    ("reading.subject_unknown", {"id": "", "co2": 1}),
    ("reading.malformed", {"id": 5, "co2": 1}),
    ("reading.malformed", {"type": None, "co2": 1}),
]


@pytest.mark.parametrize(("code", "attributes"), REFUSED)
def test_what_is_refused(code: str, attributes: dict[str, Any]) -> None:
    found = decoded(an_entity(**attributes))
    assert [each.code for each in found if isinstance(each, Refusal)] == [code] * len(found)
    assert found


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"[]", "batch.malformed"), (b"1", "batch.malformed"), (b"[1]", "batch.malformed"), (b"{", "batch.malformed"),
     (b" " * ((1 << 20) + 1), "batch.too_large"), (b"[" + b"{}," * 10_000 + b"{}]", "batch.too_large")],
)  # fmt: skip
def test_what_is_refused_whole(body: bytes, code: str) -> None:
    with pytest.raises(ReadingError) as raised:
        decode_ngsi_ld(body, CONTEXT)
    assert raised.value.code == code


def test_every_common_code_is_a_unit() -> None:
    assert len(CEFACT) >= 80
    for code, ucum in CEFACT.items():
        assert not isinstance(compile_unit(ucum, ucum, None), UnitProblem), code
