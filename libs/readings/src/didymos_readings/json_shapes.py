"""Looking into parsed JSON of strangers: a value of the expected shape, or None."""

from math import isfinite
from typing import Any, TypeAlias

from didymos_readings.block import TEXT_BYTES

Object: TypeAlias = dict[str, Any]


def number_of(value: object) -> float | None:
    """A finite float64; of a boolean, a text or a number beyond it None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:  # an integer beyond float64
        return None
    return found if isfinite(found) else None


def text_of(value: object) -> str | None:
    """A text that UTF-8 can hold, not longer than one reading may be."""
    if not isinstance(value, str) or len(value) > TEXT_BYTES:
        return None
    try:
        return value if len(value.encode()) <= TEXT_BYTES else None
    except UnicodeEncodeError:  # half of a surrogate pair
        return None


def object_of(value: object) -> Object | None:
    return value if isinstance(value, dict) else None


def objects_of(value: object) -> list[Object]:
    """The objects of an array; of anything else none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
