"""FHIR R4 Observations become rows as HL7 says; what is no reading is refused by its entry."""

import json
from typing import Any

import pytest
from didymos_readings import DecodeContext, Op, ReadingError, Refusal, Row, parse_profile
from didymos_readings.fhir import decode_fhir
from didymos_testing.readings import NOON_US, TWIN

LOINC = "http://loinc.org"
PROFILE = parse_profile(
    json.dumps(
        {
            "id": "ward@1",
            "title": "A ward",
            "properties": [
                {"name": "glucose/level", "unit": "mg/dL", "semantic_ids": [f"{LOINC}/2345-7", f"{LOINC}/99504-3"]},
                {"name": "pressure/systolic", "unit": "mm[Hg]", "semantic_ids": [f"{LOINC}/8480-6"]},
                {"name": "pressure/diastolic", "unit": "mm[Hg]", "semantic_ids": [f"{LOINC}/8462-4"]},
                {"name": "ecg/lead2", "unit": "mV", "semantic_ids": ["urn:oid:2.16.840.1.113883.6.24|131329"]},
                {"name": "steps", "unit": "1", "semantic_ids": [f"{LOINC}/55423-8"]},
                {"name": "fasting", "kind": "bool", "semantic_ids": [f"{LOINC}/49541-6"]},
                {"name": "note", "kind": "text", "semantic_ids": [f"{LOINC}/48767-8"]},
            ],
        }
    ).encode()
)
TWINS = {"Patient/17": TWIN, TWIN: TWIN, "": TWIN}
CONTEXT = DecodeContext(NOON_US, lambda _: None, TWINS.get, PROFILE)
AT = "2013-04-02T09:30:10.5+01:00"
AT_US = 1_364_891_410_500_000
MG_DL = {"unit": "mg per dl", "system": "http://unitsofmeasure.org", "code": "mg/dL"}


def coded(code: str, system: str = LOINC) -> dict[str, Any]:
    return {"coding": [{"system": "http://local", "code": "x"}, {"system": system, "code": code}]}


def an_observation(**changes: Any) -> dict[str, Any]:
    said = {
        "resourceType": "Observation", "id": "f001", "status": "final", "code": coded("2345-7"),
        "subject": {"reference": "Patient/17", "display": "P. van de Heuvel"}, "effectiveDateTime": AT,
        "valueQuantity": {"value": 114, **MG_DL},
    }  # fmt: skip
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


def decoded(said: Any, context: DecodeContext = CONTEXT) -> list[Row | Refusal]:
    return list(decode_fhir(json.dumps(said).encode(), context))


def one(said: Any) -> Row:
    (row,) = decoded(said)
    assert isinstance(row, Row), row
    return row


def test_a_quantity_is_a_reading_of_the_property_that_its_code_means() -> None:
    assert decoded(an_observation()) == [Row(0, TWIN, "glucose/level", "mg/dL", AT_US, 114.0)]


def test_components_are_readings_of_their_own_codes() -> None:
    mm_hg = {"system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
    parts = [
        {"code": coded("8480-6"), "valueQuantity": {"value": 107, **mm_hg}},
        {"code": coded("8462-4"), "valueQuantity": {"value": 60, **mm_hg}},
        {"code": coded("8462-4"), "dataAbsentReason": {"coding": [{"code": "not-performed"}]}},
    ]
    found = decoded(an_observation(code=coded("85354-9"), valueQuantity=None, component=parts))
    assert [(row.property, row.value) for row in found if isinstance(row, Row)] == [
        ("pressure/systolic", 107.0),
        ("pressure/diastolic", 60.0),
    ]
    assert len(found) == 2


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("55423-8", {"valueInteger": 8000}, 8000.0),
        ("49541-6", {"valueBoolean": True}, True),
        ("48767-8", {"valueString": "felt well"}, "felt well"),
        ("48767-8", {"valueCodeableConcept": {"coding": [{"code": "A3"}], "text": "tired"}}, "A3"),
        ("48767-8", {"valueCodeableConcept": {"text": "tired"}}, "tired"),
    ],
)
def test_other_types_of_value(code: str, value: dict[str, Any], expected: object) -> None:
    assert one(an_observation(code=coded(code), valueQuantity=None, **value)).value == expected


def test_samples_are_origin_plus_factor_times_each_at_their_period() -> None:
    data = {
        "origin": {"value": 2048, "system": "http://unitsofmeasure.org", "code": "mV"}, "period": 10, "factor": 1.612,
        "lowerLimit": -3300, "upperLimit": 3300, "dimensions": 1, "data": "2041 E 2043.5 U -2",
    }  # fmt: skip
    said = an_observation(
        code=coded("131329", "urn:oid:2.16.840.1.113883.6.24"), valueQuantity=None, valueSampledData=data
    )
    found = decoded(said)
    assert [(row.observed_at_us - AT_US, row.value) for row in found if isinstance(row, Row)] == [
        (0, 2048 + 1.612 * 2041),
        (20_000, 2048 + 1.612 * 2043.5),
        (40_000, 2048 - 1.612 * 2),
    ]
    assert [each.code for each in found if isinstance(each, Refusal)] == ["reading.out_of_bounds"]


@pytest.mark.parametrize("status", ["registered", "preliminary", "final", "amended", "corrected"])
def test_a_corrected_observation_is_a_reading_again(status: str) -> None:
    assert one(an_observation(status=status)).op is Op.READING


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_an_observation_in_error_takes_its_readings_back(status: str) -> None:
    row = one(an_observation(status=status))
    assert (row.op, row.property, row.observed_at_us) == (Op.RETRACTION, "glucose/level", AT_US)
    assert one(an_observation(status=status, valueQuantity=None)) == row
    flag = one(an_observation(status=status, code=coded("49541-6"), valueQuantity=None))
    assert flag.value is False  # of the kind that the property has


def test_retracted_components_and_samples_are_all_taken_back() -> None:
    parts = [{"code": coded("8480-6")}, {"code": coded("8462-4")}]
    found = decoded(an_observation(status="cancelled", code=coded("85354-9"), valueQuantity=None, component=parts))
    assert [(row.property, row.op) for row in found if isinstance(row, Row)] == [
        ("pressure/systolic", Op.RETRACTION),
        ("pressure/diastolic", Op.RETRACTION),
    ]
    data = {"origin": {"value": 0, **MG_DL}, "period": 1000, "dimensions": 1, "data": "1 2 3"}
    found = decoded(an_observation(status="cancelled", valueQuantity=None, valueSampledData=data))
    assert [row.observed_at_us - AT_US for row in found if isinstance(row, Row)] == [0, 1_000_000, 2_000_000]


def test_an_absent_value_is_no_reading_and_no_refusal() -> None:
    assert decoded(an_observation(valueQuantity=None, dataAbsentReason={"text": "unknown"})) == []


def test_a_bundle_is_read_entry_by_entry() -> None:
    entries = [
        {"resource": {"resourceType": "Patient", "id": "17"}},
        {"resource": an_observation(), "request": {"method": "POST", "url": "Observation"}},
        {"resource": an_observation(status="nonsense")},
        {"request": {"method": "DELETE", "url": "Observation/1"}},
        {"fullUrl": "urn:uuid:1"},
    ]
    found = decoded({"resourceType": "Bundle", "type": "collection", "entry": entries})
    assert [(each.index, getattr(each, "code", "")) for each in found] == [
        (1, ""), (2, "reading.malformed"), (3, "reading.malformed"), (4, "reading.malformed"),
    ]  # fmt: skip
    assert decoded({"resourceType": "Bundle", "type": "collection"}) == []


@pytest.mark.parametrize(
    ("subject", "known"),
    [
        ({"reference": "Patient/17"}, True),
        ({"reference": TWIN}, True),
        ({"identifier": {"system": "urn:ietf:rfc:3986", "value": TWIN}}, True),
        (None, True),
        ({"reference": "Patient/18"}, False),
        ({"display": "somebody"}, False),
        ("Patient/17", False),
    ],
)
def test_the_subject_leads_to_a_twin(subject: Any, known: bool) -> None:
    (found,) = decoded(an_observation(subject=subject))
    assert isinstance(found, Row) is known
    assert isinstance(found, Row) or found.code == "reading.subject_unknown"


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("reading.malformed", {"status": None}),
    ("reading.malformed", {"status": "unknown"}),
    ("reading.malformed", {"modifierExtension": [{"url": "http://x", "valueBoolean": True}]}),
    ("reading.malformed", {"implicitRules": "http://x"}),
    ("reading.malformed", {"dataAbsentReason": {"text": "x"}}),
    ("reading.malformed", {"valueInteger": 1}),
    ("reading.malformed", {"valueQuantity": None, "component": {"code": {}}}),
    ("reading.malformed", {"valueQuantity": None, "component": [1]}),
    ("reading.malformed", {"valueQuantity": None, "component": [{"code": coded("2345-7")}]}),
    ("reading.malformed", {"valueQuantity": None, "component": [{"code": coded("2345-7"), "modifierExtension": []}]}),
    ("reading.time_invalid", {"effectiveDateTime": None}),
    ("reading.time_invalid", {"effectiveDateTime": "2013-04-02"}),
    ("reading.time_invalid", {"effectiveDateTime": "2013-04-02T09:30:10"}),
    ("reading.time_invalid", {"effectiveDateTime": "2013-04-02T09:30:60Z"}),
    ("reading.time_invalid", {"effectiveDateTime": None, "effectivePeriod": {"end": AT}}),
    ("reading.time_invalid", {"effectiveDateTime": None, "effectiveTiming": {"event": [AT]}}),
    ("reading.time_invalid", {"effectivePeriod": {"start": AT}}),
    ("reading.property_unknown", {"code": coded("0000-0")}),
    ("reading.property_unknown", {"code": None}),
    ("reading.property_unknown", {"code": {"text": "glucose"}}),
    ("reading.property_unknown", {"code": {"coding": [*coded("2345-7")["coding"], *coded("8480-6")["coding"]]}}),
    ("reading.unit_unknown", {"valueQuantity": {"value": 1, "unit": "mg/dL"}}),
    ("reading.unit_unknown", {"valueQuantity": {"value": 1, "system": "http://local", "code": "mg/dL"}}),
    ("reading.unit_unknown", {"valueQuantity": {"value": 1, "system": "http://unitsofmeasure.org"}}),
    ("reading.kind_mismatch", {"valueQuantity": {"value": 1, "comparator": "<", **MG_DL}}),
    ("reading.kind_mismatch", {"valueQuantity": {"value": "1", **MG_DL}}),
    ("reading.kind_mismatch", {"valueQuantity": {"value": True, **MG_DL}}),
    ("reading.kind_mismatch", {"valueQuantity": {"value": 10**400, **MG_DL}}),
    ("reading.kind_mismatch", {"valueQuantity": MG_DL}),
    ("reading.kind_mismatch", {"valueQuantity": [1]}),
    ("reading.kind_mismatch", {"valueQuantity": None, "valueRange": {}}),
    ("reading.kind_mismatch", {"valueQuantity": None, "valueInteger": 1 << 40}),
    ("reading.kind_mismatch", {"valueQuantity": None, "valueBoolean": "yes"}),
    ("reading.kind_mismatch", {"valueQuantity": None, "valueString": "x" * 1025}),
    ("reading.kind_mismatch", {"valueQuantity": None, "valueCodeableConcept": {}}),
]


@pytest.mark.parametrize(("code", "changes"), REFUSED)
def test_what_is_refused(code: str, changes: dict[str, Any]) -> None:
    (found,) = decoded(an_observation(**changes))
    assert isinstance(found, Refusal)
    assert (found.code, found.index, found.count) == (code, 0, 1)


SAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("reading.kind_mismatch", {"period": 0}),
    ("reading.kind_mismatch", {"period": None, "interval": 10, "intervalUnit": "ms"}),  # R5
    ("reading.kind_mismatch", {"dimensions": 2}),
    ("reading.kind_mismatch", {"factor": "x"}),
    ("reading.kind_mismatch", {"origin": {"value": None, **MG_DL}}),
    ("reading.kind_mismatch", {"data": "1e"}),
    ("reading.not_finite", {"data": "1e999", "factor": 1}),
    ("reading.unit_unknown", {"origin": {"value": 0}}),
    ("batch.too_large", {"data": None}),
    ("batch.too_large", {"data": " ".join(["1"] * 10_001)}),
]


@pytest.mark.parametrize(("code", "changes"), SAMPLES)
def test_samples_that_are_refused(code: str, changes: dict[str, Any]) -> None:
    data = {"origin": {"value": 0, **MG_DL}, "period": 10, "dimensions": 1, "data": "1", **changes}
    (found,) = decoded(an_observation(valueQuantity=None, valueSampledData=data))
    assert isinstance(found, Refusal)
    assert found.code == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[]", "batch.malformed"), (b"{}", "batch.malformed"), (b'{"resourceType": "Patient"}', "batch.malformed"),
        (b'{"resourceType": "Bundle", "entry": {}}', "batch.malformed"),
        (b'{"resourceType": "Bundle", "entry": [1]}', "batch.malformed"),
        (b'{"resourceType": "Observation", "status": "final", "status": "final"}', "batch.malformed"),
        (b" " * ((1 << 20) + 1), "batch.too_large"),
        (b'{"resourceType": "Bundle", "entry": [' + b"{}," * 10_000 + b"{}]}", "batch.too_large"),
    ],
)  # fmt: skip
def test_what_is_refused_whole(body: bytes, code: str) -> None:
    with pytest.raises(ReadingError) as raised:
        decode_fhir(body, CONTEXT)
    assert raised.value.code == code
