"""Canonical JSON (RFC 8785) and the strict parser in front of it."""

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, TypeAlias

import rfc8785

from didymos_did.errors import DidError

Json: TypeAlias = Any  # what json.loads gives: the parsers of this library turn it into values at once
BODY_BYTES: Final = 64 * 1024
DEPTH: Final = 32
MULTIHASH_SHA256: Final = b"\x12\x20"  # code and length
_SAFE: Final = 2**53 - 1
_MOST_VALUES: Final = 1_000_000
_TEXT: Final = frozenset({str})
# Possessive, and an open string runs to the end: each byte is looked at once, whatever is sent.
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)


def _plain(value: Json) -> bool:
    """Whether `json.dumps` writes this exactly as RFC 8785 asks: no floats, ints of 53 bits, keys of ASCII."""
    waiting = [value]
    for each in waiting:  # grows while it is walked
        kind = type(each)
        if kind is dict:
            if {*map(type, each)} - _TEXT or not "".join(each).isascii():
                return False
            waiting.extend(each.values())
        elif kind is list or kind is tuple:
            waiting.extend(each)
        elif kind is int:
            if not -_SAFE <= each <= _SAFE:
                return False
        elif kind is not str and kind is not bool and each is not None:
            return False
        if len(waiting) > _MOST_VALUES:
            return False  # a circle, or more than anybody sends
    return True


def jcs(value: Json) -> bytes:
    """The canonical bytes. Raises DidError `platform.malformed` for what JSON cannot say. RFC 8785."""
    try:
        if _plain(value):
            return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeEncodeError) as error:
        raise DidError("platform.malformed", "a value that canonical JSON cannot hold") from error


def _no_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DidError("platform.malformed", f"member {twice[:64]!r} stands twice")
    return found


def _no_constant(name: str) -> Json:
    raise DidError("platform.malformed", f"{name} is not JSON")


def _no_float(text: str) -> Json:
    raise DidError("platform.malformed", f"{text[:32]}: only whole numbers are accepted here")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise DidError("platform.malformed", f"{text[:32]} is out of range")
    return number


def _integer(text: str) -> int:
    if len(text) > 20:
        raise DidError("platform.malformed", "a whole number out of range")
    return int(text)


def _check_depth(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") <= DEPTH:
        return
    depth = 0
    for match in _BRACKETS.finditer(body):
        mark = match.group()
        depth += (mark in b"[{") - (mark in b"]}") if len(mark) == 1 else 0
        if depth > DEPTH:
            raise DidError("platform.malformed", f"nested deeper than {DEPTH}", offset=match.start())


def parse_strict(body: bytes, *, limit: int = BODY_BYTES, floats: bool = False) -> Json:
    """JSON as it must be: UTF-8, within `limit` bytes and 32 levels, no member twice, no NaN; floats only if allowed.

    Raises DidError `platform.too_large`, `platform.malformed` (with the offset where there is one).
    """
    if len(body) > limit:
        raise DidError("platform.too_large", f"{len(body)} bytes, at most {limit}", limit=limit)
    _check_depth(body)
    try:
        return json.loads(
            body.decode(),
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_float=_finite if floats else _no_float,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise DidError("platform.malformed", error.msg, offset=error.pos) from error
    except UnicodeDecodeError as error:
        raise DidError("platform.malformed", "not UTF-8", offset=error.start) from error


def strict_object(body: bytes, *members: str, optional: Sequence[str] = ()) -> dict[str, Json]:
    """An object with exactly these members. Raises DidError `platform.malformed`, `platform.unknown_field`."""
    said = parse_strict(body)
    if not isinstance(said, dict):
        raise DidError("platform.malformed", "an object is expected")
    for name in members:
        if name not in said:
            raise DidError("platform.malformed", f"member {name!r} is missing", pointer=f"/{name}")
    for name in said:
        if name not in members and name not in optional:
            raise DidError("platform.unknown_field", f"member {name[:64]!r} is not known here", pointer=f"/{name[:64]}")
    return said


def digest(value: Json) -> bytes:
    """multihash-sha256 of the canonical form: 0x12 0x20 and 32 bytes."""
    return MULTIHASH_SHA256 + sha256(jcs(value)).digest()
