"""FHIR R4 Observations, alone or in a Bundle, as rows. HL7 FHIR 4.0.1, sections Observation, Bundle, SampledData."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from didymos_readings.batch import BODY_BYTES
from didymos_readings.block import Op
from didymos_readings.errors import ReadingError, Refusal
from didymos_readings.fhir_values import ABSENT, Found, retracted_value, values_in
from didymos_readings.instants import parse_instant
from didymos_readings.json_shapes import Object, object_of, objects_of
from didymos_readings.rows import DecodeContext, Row
from didymos_readings.strict_json import parse_json

ENTRIES: Final = 10_000
MALFORMED: Final = "reading.malformed"
READ: Final = ("registered", "preliminary", "final", "amended", "corrected")
TAKEN_BACK: Final = ("entered-in-error", "cancelled")
_MODIFIERS: Final = ("modifierExtension", "implicitRules")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What all values of one Observation share."""

    index: int
    twin: str
    at_us: int
    op: Op


def decode_fhir(body: bytes, context: DecodeContext) -> Iterator[Row | Refusal]:
    """The values of an Observation or of those in a Bundle. `index`: of the entry in its Bundle.

    A corrected Observation is a reading again: of one time the later batch counts. One that was entered in error, or
    cancelled, takes its readings back. Resources of other types in a Bundle are no readings and say nothing here.
    Raises ReadingError before the first: `batch.malformed`, `batch.too_large`.
    """
    if len(body) > BODY_BYTES:
        raise ReadingError("batch.too_large", "a resource has at most 1 MiB", limit=BODY_BYTES)
    said = parse_json(body)
    kind = said.get("resourceType") if isinstance(said, dict) else None
    if kind == "Observation":
        return _observation(0, said, context)
    if kind != "Bundle":
        raise ReadingError("batch.malformed", "resourceType is Observation or Bundle")
    entries = said.get("entry", [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise ReadingError("batch.malformed", "entry is an array of objects")
    if len(entries) > ENTRIES:
        raise ReadingError("batch.too_large", "a Bundle has at most 10,000 entries", limit=ENTRIES)
    return _bundle(entries, context)


def _bundle(entries: list[Object], context: DecodeContext) -> Iterator[Row | Refusal]:
    for index, entry in enumerate(entries):
        resource, request = object_of(entry.get("resource")), object_of(entry.get("request")) or {}
        if request.get("method") not in (None, "POST", "PUT"):
            yield Refusal(MALFORMED, "an entry can be posted or put", index, 1)
        elif resource is None:
            yield Refusal(MALFORMED, "the entry holds no resource", index, 1)
        elif resource.get("resourceType") == "Observation":
            yield from _observation(index, resource, context)


def _observation(index: int, said: Object, context: DecodeContext) -> Iterator[Row | Refusal]:
    seen = _seen(index, said, context)
    if isinstance(seen, Refusal):
        yield seen
        return
    yield from _part(seen, said, context, whole=True)
    parts = said.get("component", [])
    if not isinstance(parts, list):
        yield Refusal(MALFORMED, "component is an array", index, 1)
        return
    for part in parts:
        if isinstance(part, dict) and not any(name in part for name in _MODIFIERS):
            yield from _part(seen, part, context, whole=False)
        else:
            yield Refusal(MALFORMED, "a component is an object without modifiers", index, 1)


def _seen(index: int, said: Object, context: DecodeContext) -> _Seen | Refusal:
    if any(name in said for name in _MODIFIERS):
        return Refusal(MALFORMED, "modifier extensions and implicit rules are not understood", index, 1)
    status = said.get("status")
    if status not in READ and status not in TAKEN_BACK:
        return Refusal(MALFORMED, "the status says neither a reading nor its end", index, 1)
    twin = _twin(said.get("subject"), context)
    if twin is None:
        return Refusal("reading.subject_unknown", "the subject leads to no twin of this device", index, 1)
    at_us = _time(said)
    if at_us is None:
        return Refusal("reading.time_invalid", "the effective time is an instant with its zone, or starts at one",
                       index, 1)  # fmt: skip
    return _Seen(index, twin, at_us, Op.RETRACTION if status in TAKEN_BACK else Op.READING)


def _twin(subject: object, context: DecodeContext) -> str | None:
    """By reference, such as Patient/17, or by an identifier that is a DID; without a subject the only twin."""
    if subject is None:
        return context.subject(context.about)
    said = object_of(subject) or {}
    for name in (said.get("reference"), (object_of(said.get("identifier")) or {}).get("value")):
        found = context.subject(name) if isinstance(name, str) and name else None
        if found is not None:
            return found
    return None


def _time(said: Object) -> int | None:
    effective = [name for name in said if name.startswith("effective")]
    if len(effective) != 1:
        return None
    name, value = effective[0], said[effective[0]]
    if name in ("effectiveDateTime", "effectiveInstant"):
        return parse_instant(value)
    return parse_instant(value.get("start")) if name == "effectivePeriod" and isinstance(value, dict) else None


def _part(seen: _Seen, said: Object, context: DecodeContext, *, whole: bool) -> Iterator[Row | Refusal]:
    """The readings of the Observation's own value or of one component."""
    given = [name for name in said if name.startswith("value")]
    absent = "dataAbsentReason" in said
    if seen.op is Op.READING and not given and (absent or whole):
        return  # a panel, or a value that is said not to be there
    if len(given) > 1 or (given and absent):
        yield Refusal(MALFORMED, "a value is there once, and no reason for its absence", seen.index, 1)
        return
    if whole and not given and objects_of(said.get("component")):
        return  # what is taken back are its components
    name = _property(said.get("code"), context)
    if name is None:
        yield Refusal("reading.property_unknown", "no coding is a semantic id of the profile", seen.index, 1)
        return
    if seen.op is Op.RETRACTION and not (given and given[0] == "valueSampledData"):
        yield Row(seen.index, seen.twin, name, "", seen.at_us, retracted_value(context.profile, name), seen.op)
        return
    if not given:
        yield Refusal(MALFORMED, "a component has a value, or a reason for its absence", seen.index, 1)
        return
    yield from _rows(seen, name, values_in(given[0], said[given[0]], context.profile, name))


def _rows(seen: _Seen, name: str, found: Iterator[Found]) -> Iterator[Row | Refusal]:
    for each in found:
        if each.code == ABSENT:
            continue
        if each.code:
            yield Refusal(each.code, each.detail, seen.index, 1)
        else:
            yield Row(seen.index, seen.twin, name, each.unit, seen.at_us + each.after_us, each.value, seen.op)


def _property(code: object, context: DecodeContext) -> str | None:
    """The property that one of the codings means, `system/code` or `system|code`; of two that differ none."""
    found = set()
    for coding in objects_of((object_of(code) or {}).get("coding")):
        system, term = coding.get("system"), coding.get("code")
        if isinstance(system, str) and isinstance(term, str):
            found |= {context.meanings.get(f"{system}/{term}"), context.meanings.get(f"{system}|{term}")}
    found.discard(None)
    return found.pop() if len(found) == 1 else None
