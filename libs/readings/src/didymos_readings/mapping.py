"""How a profile reads CSV columns and JSON records: which field is whose, when, and which property. data-path.md 4."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Never, TypeAlias, get_args
from zoneinfo import ZoneInfo

from didymos_readings.errors import ReadingError
from didymos_readings.instants import parse_instant, zone_of
from didymos_readings.json_path import JsonPath, parse_json_path

TimeForm: TypeAlias = Literal["rfc3339", "local", "unix_s", "unix_ms", "count"]
FIELDS: Final = 1000
PATTERNS: Final = 8
_MEMBERS: Final = frozenset({"subject", "time", "values", "missing"})
_CSV: Final = _MEMBERS | {"delimiter", "columns"}
_JSON: Final = _MEMBERS | {"records"}
_DIRECTIVE: Final = re.compile(r"%(.?)", re.DOTALL)
_DIRECTIVES: Final = frozenset("YymdbBHMSfIpjz%")


@dataclass(frozen=True, slots=True)
class Field:
    """Where a record has it: a column by name, or a path."""

    column: str
    path: JsonPath | None


@dataclass(frozen=True, slots=True)
class TimeField:
    """`local`: by `patterns` (as of strptime) or ISO 8601, in `zone`. `count`: of `step_s` since `origin_us`."""

    field: Field
    form: TimeForm = "rfc3339"
    zone: ZoneInfo | None = None
    patterns: tuple[str, ...] = ()
    origin_us: int = 0
    step_s: float = 1.0


@dataclass(frozen=True, slots=True)
class ValueField:
    field: Field
    property: str
    unit: str


@dataclass(frozen=True, slots=True)
class RecordMapping:
    """`missing`: texts that say that there is no value. `columns`: of a CSV file without a header."""

    values: tuple[ValueField, ...]
    time: TimeField | None
    subject: Field | None
    prefix: str
    missing: frozenset[str]
    delimiter: str = ","
    columns: tuple[str, ...] = ()
    records: JsonPath | None = None


def parse_csv_mapping(said: Any, known: Mapping[str, Any]) -> RecordMapping:  # noqa: ANN401 - any JSON value
    """`known`: the profile's properties. Raises ReadingError `profile.malformed` with the member at fault."""
    found = _mapping(said, "/csv", _CSV, known)
    delimiter, columns = said.get("delimiter", ","), said.get("columns", [])
    if found.time is None:
        _fail("/csv/time", "says when a record was observed")
    if delimiter not in (",", ";", "\t", "|", " "):
        _fail("/csv/delimiter", "is a comma, a semicolon, a tab, a bar or a space")
    if not isinstance(columns, list) or not all(isinstance(each, str) for each in columns):
        _fail("/csv/columns", "is a list of names")
    if len(columns) > FIELDS or len(set(columns)) != len(columns):
        _fail("/csv/columns", f"has a name twice or more than {FIELDS} of them")
    return RecordMapping(
        found.values, found.time, found.subject, found.prefix, found.missing, delimiter, tuple(columns)
    )  # fmt: skip


def parse_json_mapping(said: Any, known: Mapping[str, Any]) -> RecordMapping:  # noqa: ANN401 - any JSON value
    """The same for JSON: fields are singular paths from a record, `records` a path with at most one wildcard."""
    found = _mapping(said, "/json", _JSON, known)
    text = said.get("records", "$")
    records = parse_json_path(text, wildcard=True) if isinstance(text, str) else None
    if records is None:
        _fail("/json/records", "is a path of member names, indexes and at most one wildcard")
    return RecordMapping(found.values, found.time, found.subject, found.prefix, found.missing, records=records)


def _mapping(said: Any, at: str, members: frozenset[str], known: Mapping[str, Any]) -> RecordMapping:  # noqa: ANN401
    if not isinstance(said, dict) or not said.keys() <= members:
        _fail(at, f"is an object of {', '.join(sorted(members))}")
    values, missing = said.get("values"), said.get("missing", [""])
    if not isinstance(values, list) or not 1 <= len(values) <= FIELDS:
        _fail(f"{at}/values", f"is a list of 1 to {FIELDS} fields")
    if not isinstance(missing, list) or len(missing) > FIELDS or not all(isinstance(each, str) for each in missing):
        _fail(f"{at}/missing", "is a list of texts")
    subject, time = said.get("subject"), said.get("time")
    if subject is not None and (not isinstance(subject, dict) or not subject.keys() <= {"field", "prefix"}):
        _fail(f"{at}/subject", "is an object of field, prefix")
    prefix = "" if subject is None else subject.get("prefix", "")
    if not isinstance(prefix, str) or len(prefix) > 128:
        _fail(f"{at}/subject/prefix", "is a text of at most 128 characters")
    return RecordMapping(
        tuple(_value(each, f"{at}/values/{index}", known) for index, each in enumerate(values)),
        None if time is None else _time(time, f"{at}/time"),
        None if subject is None else _field(subject.get("field"), f"{at}/subject/field"),
        prefix, frozenset(missing),
    )  # fmt: skip


def _value(said: Any, at: str, known: Mapping[str, Any]) -> ValueField:  # noqa: ANN401 - any JSON value
    if not isinstance(said, dict) or not said.keys() <= {"field", "property", "unit"}:
        _fail(at, "is an object of field, property, unit")
    name, unit = said.get("property"), said.get("unit", "")
    if not isinstance(name, str) or name not in known:
        _fail(f"{at}/property", "is a property of this profile")
    if not isinstance(unit, str) or len(unit) > 128:
        _fail(f"{at}/unit", "is a UCUM code")
    return ValueField(_field(said.get("field"), f"{at}/field"), name, unit)


def _field(said: Any, at: str) -> Field:  # noqa: ANN401 - any JSON value
    if not isinstance(said, str) or not 0 < len(said) <= 256:
        _fail(at, "is a column or a path, of at most 256 characters")
    if not at.startswith("/json"):
        return Field(said, None)
    path = parse_json_path(said)
    if path is None:
        _fail(at, "is a singular path, such as $.a.b[0]")
    return Field(said, path)


def _time(said: Any, at: str) -> TimeField:  # noqa: ANN401 - any JSON value
    members = {"field", "as", "zone", "patterns", "origin", "step_s"}
    if not isinstance(said, dict) or not said.keys() <= members:
        _fail(at, f"is an object of {', '.join(sorted(members))}")
    form, patterns, step_s = said.get("as", "rfc3339"), said.get("patterns", []), said.get("step_s", 1)
    if form not in get_args(TimeForm):
        _fail(f"{at}/as", f"is {', '.join(get_args(TimeForm))}")
    zone = zone_of(said["zone"]) if isinstance(said.get("zone"), str) else None
    if zone is None and (form == "local" or "zone" in said):
        _fail(f"{at}/zone", "is a zone of the IANA data base; local times need one")
    if not isinstance(patterns, list) or len(patterns) > PATTERNS or not all(map(_is_pattern, patterns)):
        _fail(f"{at}/patterns", "are at most 8 patterns of the directives %Y %y %m %d %b %B %H %M %S %f %I %p %j %z")
    if isinstance(step_s, bool) or not isinstance(step_s, int | float) or not 0 < step_s <= 1e9:
        _fail(f"{at}/step_s", "is a number of seconds above 0")
    origin_us = parse_instant(said.get("origin", "1970-01-01T00:00:00Z"))
    if origin_us is None:
        _fail(f"{at}/origin", "is an RFC 3339 time with its zone")
    return TimeField(_field(said.get("field"), f"{at}/field"), form, zone, tuple(patterns), origin_us, float(step_s))


def _is_pattern(said: Any) -> bool:  # noqa: ANN401 - any JSON value
    return isinstance(said, str) and 0 < len(said) <= 64 and set(_DIRECTIVE.findall(said)) <= _DIRECTIVES


def _fail(pointer: str, detail: str) -> Never:
    raise ReadingError("profile.malformed", f"profile{pointer} {detail}", pointer=pointer)
