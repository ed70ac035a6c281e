"""Records of CSV files and JSON documents as rows, by the mapping of a profile."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, TypeAlias

from didymos_readings.errors import Refusal
from didymos_readings.instants import INVALID, micros_of, parse_instant, refusal_of, resolve_local
from didymos_readings.json_shapes import number_of, text_of
from didymos_readings.mapping import Field, RecordMapping, TimeField
from didymos_readings.profile import Profile, ValueKind
from didymos_readings.rows import DecodeContext, Row, Value

Look: TypeAlias = Callable[[Field], object]
"""What a record has in a field: a text of a CSV file, any JSON value; None if it is not there."""

NUMBER: Final = re.compile(r"[+-]?([0-9]{1,64}(\.[0-9]{0,64})?|\.[0-9]{1,64})([eE][+-]?[0-9]{1,4})?", re.ASCII)
_NOT_FINITE: Final = frozenset({"nan", "inf", "infinity", "+inf", "-inf", "+infinity", "-infinity"})
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
_SECONDS: Final = 1e12


class RecordReader:
    """Records of one body. Names of subjects repeat, so what they lead to is kept."""

    def __init__(self, mapping: RecordMapping, profile: Profile, context: DecodeContext) -> None:
        self._mapping, self._context = mapping, context
        self._twins: dict[str, str | None] = {}
        rules = [profile.properties[each.property] for each in mapping.values]
        self._values = [(each, rule.kind) for each, rule in zip(mapping.values, rules, strict=True)]

    def rows(self, index: int, look: Look) -> Iterator[Row | Refusal]:
        """A reading for each value that is there."""
        twin = self._twin(look)
        if twin is None:
            yield Refusal("reading.subject_unknown", "the record leads to no twin of this device", index, 1)
            return
        at_us = self._time(look)
        if isinstance(at_us, tuple):
            yield refusal_of(at_us, index)
            return
        timed = self._mapping.time is not None or self._context.at_us is not None
        for each, kind in self._values:
            said = look(each.field)
            if said is None or (isinstance(said, str) and said.strip(" ") in self._mapping.missing):
                continue
            value = value_of(said, kind)
            if isinstance(value, Refusal):
                yield Refusal(value.code, value.detail, index, 1)
            else:
                yield Row(index, twin, each.property, each.unit, at_us, value, timed=timed)

    def _twin(self, look: Look) -> str | None:
        if self._mapping.subject is None:
            return self._context.subject(self._context.about)
        said = look(self._mapping.subject)
        if isinstance(said, bool) or not isinstance(said, str | int) or (isinstance(said, str) and len(said) > 256):
            return None
        name = f"{self._mapping.prefix}{said}".strip(" ") if said != "" else ""
        if name not in self._twins:
            self._twins[name] = self._context.subject(name) if name else None
        return self._twins[name]

    def _time(self, look: Look) -> int | tuple[str, str]:
        if self._mapping.time is None:
            return self._context.now_us if self._context.at_us is None else self._context.at_us
        return time_of(look(self._mapping.time.field), self._mapping.time)


def value_of(said: object, kind: ValueKind) -> Value | Refusal:
    """The value that a cell or a JSON value says, of the kind of its property."""
    found: Value | None = None
    if kind == "number":
        if isinstance(said, str):
            text = said.strip(" ")
            if text.lower() in _NOT_FINITE:
                return Refusal("reading.not_finite", "the value is no finite number")
            found = number_of(float(text)) if NUMBER.fullmatch(text) else None
        else:
            found = number_of(said)
    elif kind == "bool":
        found = said if isinstance(said, bool) else _BOOLEANS.get(str(said).strip(" ").lower())
    elif kind == "text":
        found = text_of(said)
    return Refusal("reading.kind_mismatch", f"the value is no {kind}") if found is None else found


def time_of(said: object, how: TimeField) -> int | tuple[str, str]:
    """The moment in us; or code and detail of why there is none."""
    if how.form == "rfc3339":
        found = parse_instant(said.strip(" ") if isinstance(said, str) else said)
        return (INVALID, "a time is written as RFC 3339 says, with its zone") if found is None else found
    if how.form == "local":
        return _local(said.strip(" "), how) if isinstance(said, str) and len(said) <= 64 else _NO_TIME
    number = float(said) if isinstance(said, str) and NUMBER.fullmatch(said.strip(" ")) else number_of(said)
    if number is None or not abs(number) < _SECONDS * 1000:
        return _NO_TIME
    seconds = number * {"unix_s": 1.0, "unix_ms": 1e-3}.get(how.form, how.step_s)
    if not abs(seconds) < _SECONDS:
        return _NO_TIME
    return how.origin_us + round(seconds * 1e6)


_NO_TIME: Final = (INVALID, "the time is not written as the profile says")


def _local(text: str, how: TimeField) -> int | tuple[str, str]:
    at = _naive(text, how.patterns)
    if at is None or how.zone is None:
        return _NO_TIME
    try:
        return micros_of(at) if at.tzinfo is not None else resolve_local(at, how.zone)
    except OverflowError:
        return _NO_TIME


def _naive(text: str, patterns: tuple[str, ...]) -> datetime | None:
    """By the first pattern that fits; without patterns by ISO 8601. A zone that is written holds."""
    if not patterns:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None
    for pattern in patterns:
        try:
            return datetime.strptime(text, pattern)  # noqa: DTZ007 - the zone is the profile's
        except ValueError:
            continue
    return None
