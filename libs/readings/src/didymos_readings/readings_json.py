"""Our own rows in JSON, `application/vnd.didymos.readings+json`, for whoever has no format yet. data-path.md 4.

`{"readings": [{"twin", "property", "unit", "observed_at", "value"}]}`: `twin` is an alias or a DID, and may be left out
by a device of one twin; `unit` is UCUM; a place is [longitude, latitude, altitude]; `"retracted": true` takes back.
A document may carry a proof (`eddsa-jcs-2022`) of its device; then it names device and audience, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from didymos_did import Did, DidError, verify_document

from didymos_readings.batch import BATCH_READINGS, BODY_BYTES
from didymos_readings.block import Op
from didymos_readings.errors import ReadingError, Refusal
from didymos_readings.fhir_values import retracted_value
from didymos_readings.instants import parse_instant
from didymos_readings.json_shapes import Object, number_of, text_of
from didymos_readings.rows import DecodeContext, Row, Value
from didymos_readings.strict_json import parse_json

READINGS_JSON: Final = "application/vnd.didymos.readings+json"
PROVED_BYTES: Final = 128 << 10  # canonical JSON costs 0.1 us a byte
STREAM_MOST: Final = (1 << 32) - 1
NUMBER_MOST: Final = (1 << 53) - 1
_DOCUMENT: Final = frozenset({"readings", "device", "audience", "stream", "number", "profile", "backfill", "proof"})
_READING: Final = frozenset({"twin", "property", "unit", "observed_at", "value", "retracted"})


@dataclass(frozen=True, slots=True)
class Proved:
    """What a document with a proof says of itself."""

    device: str
    kid: str
    stream: int
    number: int
    profile: str
    backfill: bool


def decode_readings(body: bytes, context: DecodeContext) -> Iterator[Row | Refusal]:
    """The readings in order. Raises ReadingError before the first: `batch.malformed`, `batch.too_large`."""
    readings = _document(body)["readings"]
    if not isinstance(readings, list) or not readings:
        raise ReadingError("batch.malformed", "readings is an array that is not empty")
    if len(readings) > BATCH_READINGS:
        raise ReadingError("batch.too_large", "a document has at most 10,000 readings", limit=BATCH_READINGS)
    return (_reading(index, said, context) for index, said in enumerate(readings))


def proved_readings(body: bytes, audience: str) -> Proved:
    """Who made the document, by its proof.

    Raises ReadingError `batch.{malformed, too_large, audience_wrong, signature_invalid}`.
    """
    said = _document(body)
    if len(body) > PROVED_BYTES:
        raise ReadingError("batch.too_large", "a document with a proof has at most 128 KiB", limit=PROVED_BYTES)
    device, named = said.get("device"), said.get("audience")
    if not isinstance(device, str) or not isinstance(named, str) or "proof" not in said:
        raise ReadingError("batch.malformed", "a document with a proof names its device and audience")
    if named != audience:
        raise ReadingError("batch.audience_wrong", "the document is meant for another operator")
    stream, number = said.get("stream", 0), said.get("number", 0)
    profile, backfill = said.get("profile", ""), said.get("backfill", False)
    if not _whole(stream, STREAM_MOST) or not _whole(number, NUMBER_MOST):
        raise ReadingError("batch.malformed", "stream and number are whole numbers")
    if not isinstance(profile, str) or not isinstance(backfill, bool):
        raise ReadingError("batch.malformed", "profile is a text, backfill a boolean")
    try:
        kid = verify_document(said, issuer=Did(device)).kid
    except DidError as error:
        raise ReadingError("batch.signature_invalid", error.detail) from error
    return Proved(device, kid, stream, number, profile, backfill)


def _document(body: bytes) -> Object:
    if len(body) > BODY_BYTES:
        raise ReadingError("batch.too_large", "a document has at most 1 MiB", limit=BODY_BYTES)
    said = parse_json(body)
    if not isinstance(said, dict) or "readings" not in said or not said.keys() <= _DOCUMENT:
        raise ReadingError("batch.malformed", f"the body is an object of {', '.join(sorted(_DOCUMENT))}")
    return said


def _whole(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _reading(index: int, said: object, context: DecodeContext) -> Row | Refusal:
    if not isinstance(said, dict) or not said.keys() <= _READING:
        return Refusal("reading.malformed", f"a reading is an object of {', '.join(sorted(_READING))}", index, 1)
    name, prop, unit = said.get("twin", context.about), said.get("property"), said.get("unit", "")
    twin = context.subject(name) if isinstance(name, str) else None
    if twin is None:
        return Refusal("reading.subject_unknown", "the twin is none of this device", index, 1)
    if not isinstance(prop, str) or not 0 < len(prop) <= 256 or text_of(prop) is None:
        return Refusal("reading.property_unknown", "a property is a text of 1 to 256 characters", index, 1)
    if not isinstance(unit, str) or len(unit) > 128 or text_of(unit) is None:
        return Refusal("reading.unit_unknown", "a unit is a UCUM code", index, 1)
    at_us = parse_instant(said["observed_at"]) if "observed_at" in said else context.at_us
    if at_us is None and "observed_at" in said:
        return Refusal("reading.time_invalid", "observed_at is an RFC 3339 time with its zone", index, 1)
    timed, at_us = at_us is not None, context.now_us if at_us is None else at_us
    if said.get("retracted") is True:
        return Row(index, twin, prop, "", at_us, retracted_value(context.profile, prop), Op.RETRACTION, timed)
    value = _value(said.get("value"))
    if value is None:
        return Refusal("reading.kind_mismatch", "a value is a number, a boolean, a text or a place", index, 1)
    return Row(index, twin, prop, unit, at_us, value, timed=timed)


def _value(said: Any) -> Value | None:  # noqa: ANN401 - any JSON value
    if isinstance(said, bool):
        return said
    if isinstance(said, str):
        return text_of(said)
    if not isinstance(said, list):
        return number_of(said)
    found = [number_of(each) for each in said]
    if len(found) != 3 or found[0] is None or found[1] is None or found[2] is None:
        return None
    return found[0], found[1], found[2]
