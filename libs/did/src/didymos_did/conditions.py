"""Constraints and duties by name: what value each takes, and which of two values is tighter. identity.md section 6.

One table for registration, `decide` and `covers`: two would drift. The sets are closed; what is not here denies.
"""

import re
from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final, TypeAlias

from didymos_did.errors import DidError

Value: TypeAlias = int | bool | str | tuple[str, ...] | tuple[int, int]
"""Whole number, yes or no, text, texts in order, or a pair low, high."""

_DURATION: Final = re.compile(r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,6})S)?)?")


class Shape(Enum):
    """What a value looks like. AT_LEAST and AT_MOST are counts from 1, and say which way is tighter."""

    AT_LEAST = auto()
    AT_MOST = auto()
    FLAG = auto()
    NAMES = auto()
    RANGE = auto()
    DURATION = auto()


CONSTRAINTS: Final[Mapping[str, Shape]] = MappingProxyType({
    "min-cohort": Shape.AT_LEAST,  # twins in a cohort
    "max-rate": Shape.AT_MOST,  # uses in an hour
    "place": Shape.NAMES,
    "hours": Shape.RANGE,
    "secure-aggregation": Shape.FLAG,
    "max-epsilon-per-round": Shape.AT_MOST,  # millionths
    "model-family": Shape.NAMES,
    "agreement": Shape.NAMES,
    "value-range": Shape.RANGE,  # of a command, in the unit of its property
})  # fmt: skip
DUTIES: Final[Mapping[str, Shape]] = MappingProxyType({
    "delete-after": Shape.DURATION,
    "report-use": Shape.FLAG,
    "compensate": Shape.AT_LEAST,  # minor units of money
    "notify-on-use": Shape.FLAG,
    "return-model": Shape.FLAG,
})  # fmt: skip


def duration_seconds(text: str) -> int:
    """Seconds of an ISO 8601 duration of days and smaller. Raises DidError `grant.term_malformed`."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise DidError("grant.term_malformed", "a duration is written P30D or PT30M")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def count(value: Value) -> int | None:
    return value if type(value) is int and value >= 1 else None


def names(value: Value) -> frozenset[str]:
    """The texts of a value: one or many. Of anything else none."""
    texts = value if isinstance(value, tuple) else (value,)
    return frozenset(each for each in texts if isinstance(each, str))


def bounds(value: Value) -> tuple[int, int] | None:
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    low, high = value
    return (low, high) if type(low) is int and type(high) is int and low <= high else None


def well_formed(shape: Shape, value: Value) -> bool:
    """Whether `value` is one that a condition of this shape takes."""
    match shape:
        case Shape.AT_LEAST | Shape.AT_MOST:
            return count(value) is not None
        case Shape.FLAG:
            return isinstance(value, bool)
        case Shape.NAMES:
            return bool(names(value)) and not (isinstance(value, tuple) and len(names(value)) != len(value))
        case Shape.RANGE:
            return bounds(value) is not None
        case Shape.DURATION:
            return _seconds(value) is not None


def tighter(shape: Shape, asked: Value, given: Value) -> bool:
    """Whether `asked` is equal to `given` or tighter. Values that are not well formed are neither."""
    if not well_formed(shape, asked) or not well_formed(shape, given):
        return False
    match shape:
        case Shape.AT_LEAST:
            return (count(asked) or 0) >= (count(given) or 0)
        case Shape.AT_MOST:
            return (count(asked) or 0) <= (count(given) or 0)
        case Shape.FLAG:
            return asked is True or given is False
        case Shape.NAMES:
            return names(asked) <= names(given)
        case Shape.RANGE:
            inner, outer = bounds(asked), bounds(given)
            return inner is not None and outer is not None and outer[0] <= inner[0] and inner[1] <= outer[1]
        case Shape.DURATION:
            return (_seconds(asked) or 0) <= (_seconds(given) or 0)


def _seconds(value: Value) -> int | None:
    try:
        return duration_seconds(value) if isinstance(value, str) else None
    except DidError:
        return None
