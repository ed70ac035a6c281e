"""JSON from strangers: no repeated members, no NaN, bounded depth. RFC 8259; I-JSON (RFC 7493) section 2."""

import json
from typing import Any, Never

from didymos_readings.errors import ReadingError

DEPTH = 32


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - what JSON holds is known to the caller's checks only
    """The value in `body`. Raises ReadingError `batch.malformed`."""
    try:
        found = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise ReadingError("batch.malformed", "the body is no strict JSON in UTF-8") from error
    if _deeper_than(found, DEPTH):
        raise ReadingError("batch.malformed", "the body is nested too deep", limit=DEPTH)
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice")
    return found


def _constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON number")


def _deeper_than(found: Any, depth: int) -> bool:  # noqa: ANN401 - any JSON value
    level = [found]
    for _ in range(depth):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True
