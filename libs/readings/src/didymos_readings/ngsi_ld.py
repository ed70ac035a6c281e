"""NGSI-LD entities as input, normalized and concise, as rows. ETSI GS CIM 009 sections 4.5 and 5.2.

Contexts are never fetched: a term means what an inline `@context` of its entity says, or the property of that name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from didymos_readings.batch import BODY_BYTES
from didymos_readings.cefact_units import CEFACT
from didymos_readings.errors import ReadingError, Refusal
from didymos_readings.instants import parse_instant
from didymos_readings.json_shapes import Object, number_of, object_of, text_of
from didymos_readings.rows import DecodeContext, Row, Value
from didymos_readings.strict_json import parse_json

ENTITIES: Final = 10_000
_NO_ATTRIBUTES: Final = frozenset({"id", "type", "@context", "scope", "createdAt", "modifiedAt", "deletedAt"})
_OTHER_TYPES: Final = (
    "Relationship",
    "ListRelationship",
    "LanguageProperty",
    "VocabProperty",
    "JsonProperty",
    "ListProperty",
)
_VALUES: Final = ("value", "object", "objectList", "languageMap", "vocab", "json", "valueList")
NULL: Final = "urn:ngsi-ld:null"


@dataclass(frozen=True, slots=True)
class _Entity:
    index: int
    said: Object
    twin: str
    terms: dict[str, str]  # IRI by term


def decode_ngsi_ld(body: bytes, context: DecodeContext) -> Iterator[Row | Refusal]:
    """The attributes of an entity, or of each entity in an array. `index`: of the entity.

    An attribute without `observedAt` has the time of its arrival, and says so. Raises ReadingError before the first:
    `batch.malformed`, `batch.too_large`.
    """
    if len(body) > BODY_BYTES:
        raise ReadingError("batch.too_large", "entities have at most 1 MiB", limit=BODY_BYTES)
    said = parse_json(body)
    entities = said if isinstance(said, list) else [said]
    if not entities or not all(isinstance(each, dict) for each in entities):
        raise ReadingError("batch.malformed", "an entity is an object, several are an array of them")
    if len(entities) > ENTITIES:
        raise ReadingError("batch.too_large", "an array has at most 10,000 entities", limit=ENTITIES)
    return _entities(entities, context)


def _entities(entities: list[Object], context: DecodeContext) -> Iterator[Row | Refusal]:
    for index, said in enumerate(entities):
        name, kind = said.get("id"), said.get("type")
        if not isinstance(name, str) or not isinstance(kind, str | list):
            yield Refusal("reading.malformed", "an entity has an id and a type", index, 1)
            continue
        twin = context.subject(name) if name else None
        if twin is None:
            yield Refusal("reading.subject_unknown", "the entity leads to no twin of this device", index, 1)
            continue
        entity = _Entity(index, said, twin, _terms(said.get("@context")))
        for attribute, given in said.items():
            if attribute in _NO_ATTRIBUTES:
                continue
            for each in given if _is_instances(given) else [given]:
                yield _attribute(entity, attribute, each, context)


def _is_instances(given: object) -> bool:
    """Several instances of one attribute, by `datasetId` (section 4.5.5); any other array is a value."""
    return isinstance(given, list) and bool(given) and all(isinstance(each, dict) for each in given)


def _terms(context: object) -> dict[str, str]:
    """What inline objects of a context define; the IRIs of contexts elsewhere are not followed."""
    found: dict[str, str] = {}
    for each in context if isinstance(context, list) else [context]:
        for term, meaning in (object_of(each) or {}).items():
            iri = meaning.get("@id") if isinstance(meaning, dict) else meaning
            if isinstance(iri, str):
                found[term] = iri
    return found


def _attribute(entity: _Entity, name: str, given: Any, context: DecodeContext) -> Row | Refusal:  # noqa: ANN401 - any JSON value
    index = entity.index
    prop = _property(entity, name, context)
    if prop is None:
        return Refusal("reading.property_unknown", "the attribute is no property or semantic id of the profile",
                       index, 1)  # fmt: skip
    said = _normalized(given)
    if isinstance(said, Refusal):
        return Refusal(said.code, said.detail, index, 1)
    value = _value(said)
    if value is None:
        return Refusal("reading.kind_mismatch", "a value is a number, a boolean, a text or a Point", index, 1)
    unit = _unit(said.get("unitCode"))
    if unit is None:
        return Refusal("reading.unit_unknown", "unitCode is a common code of UN/CEFACT Rec 20 that is known here",
                       index, 1)  # fmt: skip
    if "observedAt" not in said:
        at_us = context.now_us if context.at_us is None else context.at_us
        return Row(index, entity.twin, prop, unit, at_us, value, timed=context.at_us is not None)
    observed = parse_instant(said["observedAt"])
    if observed is None:
        return Refusal("reading.time_invalid", "observedAt is an RFC 3339 time with its zone", index, 1)
    return Row(index, entity.twin, prop, unit, observed, value)


def _property(entity: _Entity, name: str, context: DecodeContext) -> str | None:
    meaning = context.meanings.get(entity.terms.get(name, name))
    if meaning is not None:
        return meaning
    known = context.profile is not None and context.profile.rule(name) is not None
    return name if known else None


def _normalized(given: Any) -> Object | Refusal:  # noqa: ANN401 - any JSON value
    """The attribute as an object with `value`. Concise form: the value alone, or without its type (section 4.5.1)."""
    if not isinstance(given, dict):
        return {"value": given}
    kind = given.get("type")
    if kind in ("Point", "Polygon", "LineString", "MultiPoint", "MultiPolygon", "MultiLineString"):
        return {"value": given}
    held = [name for name in _VALUES if name in given]
    if kind in _OTHER_TYPES or (held and held != ["value"]):
        return Refusal("reading.kind_mismatch", "only properties and places are readings")
    if kind not in (None, "Property", "GeoProperty") or not held:
        return Refusal("reading.kind_mismatch", "an attribute is a Property or a GeoProperty with its value")
    return given


def _value(said: Object) -> Value | None:
    value = said["value"]
    if value == NULL:
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text_of(value)
    return _point(value) if isinstance(value, dict) else number_of(value)


def _point(value: Object) -> Value | None:
    """Longitude, latitude, altitude of a GeoJSON Point (RFC 7946)."""
    spots = value.get("coordinates") if value.get("type") == "Point" else None
    if not isinstance(spots, list) or len(spots) not in (2, 3):
        return None
    found = [number_of(each) for each in [*spots, 0][:3]]
    longitude, latitude, altitude = found
    if longitude is None or latitude is None or altitude is None:
        return None
    return longitude, latitude, altitude


def _unit(code: object) -> str | None:
    if code is None:
        return ""
    return CEFACT.get(code) if isinstance(code, str) else None
