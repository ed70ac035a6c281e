"""Profiles: what a twin's properties are, immutable under `id@version`. data-path.md 4 and 6."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from math import isfinite
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from didymos_readings.errors import ReadingError
from didymos_readings.mapping import RecordMapping, parse_csv_mapping, parse_json_mapping
from didymos_readings.strict_json import parse_json
from didymos_readings.ucum_parse import UnknownUnitError, parse_unit

ValueKind: TypeAlias = Literal["number", "bool", "point", "text"]
PROPERTIES: Final = 1000  # of a twin, data-path.md 7
PROFILE_BYTES: Final = 1 << 18
TITLE: Final = 256
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_\-]{0,63}(/[A-Za-z0-9][A-Za-z0-9_\-]{0,63}){0,3}")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9._\-]{0,62}@[1-9][0-9]{0,8}")
_MEMBERS: Final = frozenset({"id", "title", "properties", "other", "csv", "json"})


@dataclass(frozen=True, slots=True)
class Bounds:
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Property:
    """One property. `unit` is the canonical UCUM code, in which bounds and rates are; None: as it is sent.

    `hard`: what lies outside is refused. `soft`: what lies outside loses quality, down to 0 at `hard`. `max_rate`:
    change per second. `flat_n`: a run of so many equal values is suspect. `latency_s`: how late is still on time.
    """

    name: str
    kind: ValueKind = "number"
    unit: str | None = None
    semantic_ids: tuple[str, ...] = ()
    period_s: float | None = None
    latency_s: float = 0.0
    soft: Bounds | None = None
    hard: Bounds | None = None
    max_rate: float | None = None
    flat_n: int | None = None
    molar_mass: Decimal | None = None
    searchable: bool = False
    desired: bool = False


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Profile:
    """Properties by name; two are equal only if they are one object.

    `other` rules any property that is not named; without it such a property is refused. `csv`, `json`: how files and
    documents of other makes are read.
    """

    id: str
    title: str
    properties: Mapping[str, Property]
    other: Property | None = None
    csv: RecordMapping | None = None
    json: RecordMapping | None = None

    def rule(self, name: str) -> Property | None:
        """What holds for the property, None if the profile does not know it."""
        found = self.properties.get(name)
        return self.other if found is None and NAME.fullmatch(name) else found


def parse_profile(text: bytes) -> Profile:
    """A profile from JSON. Raises ReadingError `profile.malformed` with the member at fault."""
    if len(text) > PROFILE_BYTES:
        raise _malformed("", "is over 256 KiB")
    try:
        said = parse_json(text)
    except ReadingError as error:
        raise _malformed("", error.detail) from error
    return profile_of(said)


def profile_of(said: Any) -> Profile:  # noqa: ANN401 - any JSON value
    """The profile that JSON says. Raises ReadingError `profile.malformed` with the member at fault."""
    if not isinstance(said, dict) or not said.keys() <= _MEMBERS or not isinstance(said.get("properties"), list):
        raise _malformed("", f"is an object of {', '.join(sorted(_MEMBERS))}")
    if not isinstance(said.get("id"), str) or not _ID.fullmatch(said["id"]) or not isinstance(said.get("title"), str):
        raise _malformed("/id", "an id is name@version, with a title beside it")
    if len(said["title"]) > TITLE:
        raise _malformed("/title", f"is of at most {TITLE} characters")
    rules = [_property(each, f"/properties/{at}") for at, each in enumerate(said["properties"])]
    named = {rule.name: rule for rule in rules}
    if len(named) != len(rules) or len(rules) > PROPERTIES:
        raise _malformed("/properties", f"has a name twice or more than {PROPERTIES} of them")
    other = said.get("other")
    if other is not None:
        other = _property({"name": "other", **other} if isinstance(other, dict) else other, "/other")
    csv = parse_csv_mapping(said["csv"], named) if "csv" in said else None
    json = parse_json_mapping(said["json"], named) if "json" in said else None
    return Profile(said["id"], said["title"], MappingProxyType(named), other, csv, json)


@cache
def built_in_profiles() -> Mapping[str, Profile]:
    """The profiles that come with the package, by id@version."""
    folder = files("didymos_readings").joinpath("profiles")
    found = [parse_profile(each.read_bytes()) for each in folder.iterdir() if each.name.endswith(".json")]
    return MappingProxyType({profile.id: profile for profile in found})


def _property(said: Any, pointer: str) -> Property:  # noqa: ANN401 - any JSON value
    fields = Property.__slots__
    if not isinstance(said, dict) or not said.keys() <= set(fields):
        raise _malformed(pointer, f"is an object of {', '.join(fields)}")
    name, kind, unit = said.get("name"), said.get("kind", "number"), said.get("unit")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise _malformed(f"{pointer}/name", "is one to four words joined by /")
    if kind not in ("number", "bool", "point", "text"):
        raise _malformed(f"{pointer}/kind", "is number, bool, point or text")
    if unit is not None:
        _check_unit(unit, f"{pointer}/unit")
    hard, soft = _bounds(said.get("hard"), f"{pointer}/hard"), _bounds(said.get("soft"), f"{pointer}/soft")
    if soft and not (hard and hard.low <= soft.low and soft.high <= hard.high):
        raise _malformed(f"{pointer}/soft", "lies within hard")
    flat_n = said.get("flat_n")
    if flat_n is not None and (not isinstance(flat_n, int) or flat_n < 2):
        raise _malformed(f"{pointer}/flat_n", "is an integer from 2")
    semantic_ids = said.get("semantic_ids", [])
    if not isinstance(semantic_ids, list) or not all(isinstance(each, str) for each in semantic_ids):
        raise _malformed(f"{pointer}/semantic_ids", "is a list of IRIs")
    for flag in ("searchable", "desired"):
        if not isinstance(said.get(flag, False), bool):
            raise _malformed(f"{pointer}/{flag}", "is true or false")
    return Property(
        name, kind, unit, tuple(semantic_ids), _positive(said.get("period_s"), f"{pointer}/period_s"),
        _number(said.get("latency_s", 0), f"{pointer}/latency_s"), soft, hard,
        _positive(said.get("max_rate"), f"{pointer}/max_rate"), flat_n, _molar(said.get("molar_mass"), pointer),
        said.get("searchable") is True, said.get("desired") is True,
    )  # fmt: skip


def _check_unit(unit: Any, pointer: str) -> None:  # noqa: ANN401 - any JSON value
    if not isinstance(unit, str):
        raise _malformed(pointer, "is a UCUM code")
    try:
        parse_unit(unit)
    except UnknownUnitError as error:
        raise _malformed(pointer, str(error)) from error


def _bounds(said: Any, pointer: str) -> Bounds | None:  # noqa: ANN401 - any JSON value
    if said is None:
        return None
    if not isinstance(said, list) or len(said) != 2:
        raise _malformed(pointer, "is [low, high]")
    low, high = (_number(each, pointer, floor=None) for each in said)
    if low > high:
        raise _malformed(pointer, "has low above high")
    return Bounds(low, high)


def _number(said: Any, pointer: str, floor: float | None = 0) -> float:  # noqa: ANN401 - any JSON value
    try:
        if isinstance(said, int | float) and not isinstance(said, bool) and isfinite(said):
            if floor is not None and said < floor:
                raise _malformed(pointer, f"is at least {floor:g}")
            return float(said)
    except OverflowError as error:
        raise _malformed(pointer, "is beyond float64") from error
    raise _malformed(pointer, "is a number")


def _positive(said: Any, pointer: str) -> float | None:  # noqa: ANN401 - any JSON value
    if said is None:
        return None
    found = _number(said, pointer)
    if not found:
        raise _malformed(pointer, "is above 0")
    return found


def _molar(said: Any, pointer: str) -> Decimal | None:  # noqa: ANN401 - any JSON value
    """g/mol, as text: it is exact."""
    if said is None:
        return None
    try:
        found = Decimal(said) if isinstance(said, str) and len(said) <= 32 else Decimal("NaN")
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or not Decimal("1e-6") < found < Decimal("1e12"):
        raise _malformed(f"{pointer}/molar_mass", "is a decimal number of g/mol, as text")
    return found


def _malformed(pointer: str, detail: str) -> ReadingError:
    return ReadingError("profile.malformed", f"profile{pointer} {detail}", pointer=pointer)
