"""SenML in JSON and CBOR, resolved to rows. RFC 8428 sections 4 to 6, RFC 9100 for `bver`."""

import re
from collections.abc import Iterator
from decimal import Decimal
from math import isfinite
from typing import Any, Final

from didymos_readings.batch import BATCH_READINGS, BODY_BYTES
from didymos_readings.block import TEXT_BYTES
from didymos_readings.errors import ReadingError, Refusal
from didymos_readings.rows import DecodeContext, Row, Value
from didymos_readings.senml_units import PRIMARY, SECONDARY
from didymos_readings.strict_cbor import parse_cbor
from didymos_readings.strict_json import parse_json

RELATIVE_BELOW_S: Final = 1 << 28  # section 4.5.3: a smaller time is relative to now
BASE_VERSION: Final = 10
SECONDARY_UNITS: Final = 26  # RFC 9100: the base with feature 4
_TIME_LIMIT_S: Final = 1e12
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]{0,255}")
_NUMBERS: Final = ("bt", "bv", "bs", "v", "s", "t", "ut")
_TEXTS: Final = ("bn", "bu", "n", "u", "vs", "vd")
_VALUES: Final = ("v", "vs", "vb", "vd")
_LABELS: Final = {  # section 6, table 4
    -6: "bs", -5: "bv", -4: "bu", -3: "bt", -2: "bn", -1: "bver",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip
_BINARY: Final = "AA"  # bytes in CBOR, base64url in JSON; refused either way


def decode_senml(body: bytes, context: DecodeContext) -> Iterator[Row | Refusal]:
    """The readings of a pack in order; a record that is not taken as a refusal by its index.

    Raises ReadingError before the first: `batch.malformed` for what is no SenML, has a field ending in `_` that is
    not known, or a `bver` with unknown features; `batch.too_large`.
    """
    if len(body) > BODY_BYTES:
        raise ReadingError("batch.too_large", "a pack has at most 1 MiB", limit=BODY_BYTES)
    return _pack(parse_json(body), context)


def decode_senml_cbor(body: bytes, context: DecodeContext) -> Iterator[Row | Refusal]:
    """The same of `application/senml+cbor`. Raises as `decode_senml`."""
    if len(body) > BODY_BYTES:
        raise ReadingError("batch.too_large", "a pack has at most 1 MiB", limit=BODY_BYTES)
    said = parse_cbor(body)
    return _pack([_named(each) for each in said] if isinstance(said, list) else said, context)


def _named(record: object) -> object:
    """A record with its labels as names. Numbers may be decimal fractions."""
    if not isinstance(record, dict):
        return record
    found: dict[str, Any] = {}
    for label, value in record.items():
        whole = isinstance(label, int) and not isinstance(label, bool)
        name = _LABELS.get(label, "later") if whole else label  # section 6: other numbers are for later use
        if not isinstance(name, str) or (name in found and name != "later"):
            raise ReadingError("batch.malformed", "a label is a number or a text, and stands once")
        found[name] = float(value) if isinstance(value, Decimal) else value
    if isinstance(found.get("vd"), bytes):
        found["vd"] = _BINARY
    return found


def _pack(pack: object, context: DecodeContext) -> Iterator[Row | Refusal]:
    if not isinstance(pack, list) or not pack or not all(isinstance(record, dict) for record in pack):
        raise ReadingError("batch.malformed", "a SenML pack is an array of records")
    if len(pack) > BATCH_READINGS:
        raise ReadingError("batch.too_large", "a pack has at most 10,000 records", limit=BATCH_READINGS)
    for index, record in enumerate(pack):
        _check(index, record)
    units = _units(pack)
    return _rows(pack, units, context)


def _check(index: int, record: dict[str, Any]) -> None:
    for name, value in record.items():
        if name in _NUMBERS:
            good = isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
        elif name in _TEXTS:
            good = isinstance(value, str) and value.isprintable() and _encodes(value)
        elif name == "vb":
            good = isinstance(value, bool)
        elif name.endswith("_"):
            raise ReadingError("batch.malformed", f"record {index}: a field that must be understood is not known")
        else:
            continue  # section 4.4: other fields are ignored
        if not good:
            raise ReadingError("batch.malformed", f"record {index}: {name} has another type than RFC 8428 says")
    if sum(name in record for name in _VALUES) > 1:
        raise ReadingError("batch.malformed", f"record {index} has more than one value")


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an integer beyond float64
        return False


def _encodes(text: str) -> bool:
    try:
        return len(text.encode()) <= BODY_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _units(pack: list[dict[str, Any]]) -> dict[str, str]:
    versions = {record["bver"] if isinstance(record["bver"], int) else -1 for record in pack if "bver" in record}
    if versions - set(range(1, BASE_VERSION + 1)) - {SECONDARY_UNITS} or len(versions) > 1:
        raise ReadingError("batch.malformed", "bver is one number from 1 to 10, or 26")
    return PRIMARY | SECONDARY if SECONDARY_UNITS in versions else PRIMARY


def _rows(pack: list[dict[str, Any]], units: dict[str, str], context: DecodeContext) -> Iterator[Row | Refusal]:
    base_name, base_unit, base_time, base_value = "", "", 0.0, 0.0
    for index, record in enumerate(pack):
        base_name, base_unit = record.get("bn", base_name), record.get("bu", base_unit)
        base_time, base_value = float(record.get("bt", base_time)), float(record.get("bv", base_value))
        if "s" in record or ("bs" in record and not any(name in record for name in _VALUES)):
            yield Refusal("reading.kind_mismatch", "sums over time are not taken", index, 1)
        found = _value(index, record, base_value)
        if found is None:
            continue
        if isinstance(found, Refusal):
            yield found
            continue
        yield _row(index, base_name + record.get("n", ""), record.get("u", base_unit), units, found,
                   _micros(base_time + float(record.get("t", 0)), context.now_us), context)  # fmt: skip


def _value(index: int, record: dict[str, Any], base_value: float) -> Value | Refusal | None:
    """The value of a record; None for one that only sets base fields or has only a sum."""
    if "v" in record:
        return base_value + float(record["v"])
    if "vb" in record:
        return bool(record["vb"])
    if "vs" in record:
        text = str(record["vs"])
        too_long = Refusal("reading.kind_mismatch", "a text has at most 1 KiB", index, 1)
        return text if len(text.encode()) <= TEXT_BYTES else too_long
    if "vd" in record:
        return Refusal("reading.kind_mismatch", "binary data is not taken", index, 1)
    return None


def _row(
    index: int, name: str, unit: str, units: dict[str, str], value: Value, at_us: int | None, context: DecodeContext
) -> Row | Refusal:
    if not _NAME.fullmatch(name):
        return Refusal("reading.subject_unknown", "a name has 1 to 256 of A-Z a-z 0-9 - : . / _", index, 1)
    place = context.place(name)
    if place is None:
        return Refusal("reading.subject_unknown", "the name leads to no twin and property", index, 1)
    if unit and unit not in units:
        return Refusal("reading.unit_unknown", "the unit is not registered for SenML", index, 1)
    if at_us is None:
        return Refusal("reading.time_invalid", "the time is out of range", index, 1)
    return Row(index, place[0], place[1], units.get(unit, ""), at_us, value)


def _micros(time_s: float, now_us: int) -> int | None:
    """Microseconds UTC; None for what is no time. float64 holds today's seconds to a quarter of a microsecond."""
    if not abs(time_s) < _TIME_LIMIT_S:
        return None
    return round(time_s * 1e6) + (now_us if time_s < RELATIVE_BELOW_S else 0)
