"""CBOR from strangers: one item, no repeated keys, no tags but decimal fractions, bounded depth. RFC 8949."""

from decimal import Decimal
from io import BytesIO
from typing import Any, Final, Never

from cbor2 import CBORDecodeError, CBORDecoder, CBORError

from didymos_readings.errors import ReadingError

DEPTH: Final = 8
_TYPES: Final = (dict, list, str, bytes, int, float, bool, Decimal, type(None))
# What the library would build by itself: dates, patterns, references, sets. Tag 4 is a decimal fraction.
_TAGS: Final = (*(0, 1, 2, 3, 5), *(25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43000, 55799))


def parse_cbor(body: bytes) -> Any:  # noqa: ANN401 - what CBOR holds is known to the caller's checks only
    """The value in `body`. Raises ReadingError `batch.malformed`."""
    source = BytesIO(body)
    decoder = CBORDecoder(
        source, semantic_decoders=dict.fromkeys(_TAGS, _refuse), read_size=1, max_depth=DEPTH,
        allow_duplicate_keys=False,
    )  # fmt: skip
    try:
        found = decoder.decode()
        _check(found)
    except (CBORError, ValueError, ArithmeticError, TypeError, RecursionError) as error:
        raise ReadingError("batch.malformed", "the body is no strict CBOR") from error
    if source.read(1):
        raise ReadingError("batch.malformed", "the body goes on after its CBOR item")
    return found


def _refuse(*_given: object) -> Never:
    raise CBORDecodeError("a tag that is not taken")


def _check(found: object) -> None:
    """Raises TypeError for what JSON has no counterpart of, but for bytes and decimal fractions."""
    if type(found) not in _TYPES:
        raise TypeError("an item of another type")
    if isinstance(found, dict):
        for key, value in found.items():
            _check(key)
            _check(value)
    elif isinstance(found, list):
        for value in found:
            _check(value)
