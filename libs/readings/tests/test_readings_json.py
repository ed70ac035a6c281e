"""Rows in our own JSON, and documents that carry the proof of their device."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from didymos_did import Did, sign_document
from didymos_readings import DecodeContext, Op, ReadingError, Refusal, Row, built_in_profiles, proved_readings
from didymos_readings.readings_json import PROVED_BYTES, decode_readings
from didymos_testing.did import a_signer
from didymos_testing.readings import NOON_US, TWIN

DEVICE, OPERATOR = a_signer("device"), a_signer("operator").did
CONTEXT = DecodeContext(NOON_US, lambda _: None, {"": TWIN, "Patient/17": TWIN}.get, built_in_profiles()["glucose@1"])
READING: dict[str, Any] = {
    "twin": "Patient/17", "property": "glucose/level", "unit": "mg/dL", "value": 1,
    "observed_at": "2026-01-01T12:00:00Z",
}  # fmt: skip


def decoded(*readings: Any) -> list[Row | Refusal]:
    return list(decode_readings(json.dumps({"readings": readings}).encode(), CONTEXT))


def changed(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**READING, **changes}.items() if value is not ...}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Row(0, TWIN, "glucose/level", "mg/dL", NOON_US, 1.0)),
        ({"twin": ..., "unit": ...}, Row(0, TWIN, "glucose/level", "", NOON_US, 1.0)),
        ({"observed_at": ...}, Row(0, TWIN, "glucose/level", "mg/dL", NOON_US, 1.0, timed=False)),
        ({"value": True}, Row(0, TWIN, "glucose/level", "mg/dL", NOON_US, True)),
        ({"value": "x"}, Row(0, TWIN, "glucose/level", "mg/dL", NOON_US, "x")),
        ({"value": [1, 2, 3]}, Row(0, TWIN, "glucose/level", "mg/dL", NOON_US, (1.0, 2.0, 3.0))),
        ({"value": ..., "retracted": True}, Row(0, TWIN, "glucose/level", "", NOON_US, 0.0, Op.RETRACTION)),
    ],
)
def test_a_reading_is_a_row(changes: dict[str, Any], expected: Row) -> None:
    assert decoded(changed(**changes)) == [expected]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"twin": "Patient/18"}, "reading.subject_unknown"),
        ({"twin": 5}, "reading.subject_unknown"),
        ({"property": ...}, "reading.property_unknown"),
        ({"property": "x" * 257}, "reading.property_unknown"),
        ({"unit": 5}, "reading.unit_unknown"),
        ({"observed_at": "2026-01-01"}, "reading.time_invalid"),
        ({"observed_at": None}, "reading.time_invalid"),
        ({"value": ...}, "reading.kind_mismatch"),
        ({"value": [1, 2]}, "reading.kind_mismatch"),
        ({"value": {}}, "reading.kind_mismatch"),
        ({"value": 10**400}, "reading.kind_mismatch"),
        ({"valeu": 1}, "reading.malformed"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], code: str) -> None:
    assert [each.code for each in decoded(changed(**changes), 5) if isinstance(each, Refusal)] == [
        code, "reading.malformed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[]", "batch.malformed"), (b"{}", "batch.malformed"), (b'{"readings": [], "x": 1}', "batch.malformed"),
        (b'{"readings": {}}', "batch.malformed"), (b'{"readings": []}', "batch.malformed"),
        (b'{"readings": [' + b"1," * 10_000 + b"1]}", "batch.too_large"), (b" " * ((1 << 20) + 1), "batch.too_large"),
    ],
)  # fmt: skip
def test_what_is_refused_whole(body: bytes, code: str) -> None:
    with pytest.raises(ReadingError) as raised:
        decode_readings(body, CONTEXT)
    assert raised.value.code == code


def a_document(signer: Any = DEVICE, **changes: Any) -> dict[str, Any]:
    said = {"readings": [changed(value=104.5)], "device": DEVICE.did, "audience": OPERATOR, "stream": 1, "number": 7}
    return sign_document({**said, **changes}, signer, datetime(2026, 1, 1, tzinfo=UTC))


def proved(document: dict[str, Any]) -> Any:
    return proved_readings(json.dumps(document).encode(), OPERATOR)


def test_a_document_names_its_device_by_its_proof() -> None:
    said = proved(a_document())
    assert (said.device, said.kid, said.stream, said.number) == (DEVICE.did, DEVICE.kid, 1, 7)
    assert proved(a_document(profile="glucose@1", backfill=True)).backfill


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (a_document(a_signer("other device")), "batch.signature_invalid"),
        ({**a_document(), "number": 8}, "batch.signature_invalid"),
        ({**a_document(), "readings": [READING]}, "batch.signature_invalid"),
        ({**a_document(), "proof": {}}, "batch.signature_invalid"),
        ({**a_document(), "readings": [1 << 60]}, "batch.signature_invalid"),
        (a_document(device="did:web:x"), "batch.signature_invalid"),
        (a_document(audience=Did("did:key:zOther")), "batch.audience_wrong"),
        ({"readings": [READING]}, "batch.malformed"),
        (a_document(device=5), "batch.malformed"),
        (a_document(number=-1), "batch.malformed"),
        (a_document(stream=True), "batch.malformed"),
        (a_document(profile=1), "batch.malformed"),
        (a_document(backfill=1), "batch.malformed"),
        (a_document(profile="x" * PROVED_BYTES), "batch.too_large"),
    ],
)
def test_a_document_whose_proof_does_not_hold_is_refused(document: dict[str, Any], code: str) -> None:
    with pytest.raises(ReadingError) as raised:
        proved(document)
    assert raised.value.code == code


def test_a_number_that_json_cannot_hold_exactly_is_refused() -> None:
    body = json.dumps(a_document()).replace("104.5", "1e999").encode()
    with pytest.raises(ReadingError):
        proved_readings(body, OPERATOR)
