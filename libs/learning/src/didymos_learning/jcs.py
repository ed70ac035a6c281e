"""Frozen dataclasses as canonical JSON (RFC 8785) and back, strictly: one value, one spelling, one digest.

A field with a default is left out while it has that value, and never spelled out then: a specification keeps its bytes
when its class learns a new field.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from hashlib import sha256
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import rfc8785

from didymos_learning.errors import LearningError

Json: TypeAlias = Any  # what json.loads gives: it becomes a value at once
T = TypeVar("T")
LIMIT: Final = 1 << 20  # bytes of one specification
EXACT: Final = 1 << 53  # whole numbers up to here have one spelling as a double


def _malformed(where: str, wanted: str) -> LearningError:
    return LearningError("training.spec_malformed", pointer=where or "/", detail=f"expected {wanted}")


def _plain(value: object) -> Json:
    if is_dataclass(value):
        said = {field.name: getattr(value, field.name) for field in fields(value) if not _is_default(field, value)}
        return {name: _plain(inner) for name, inner in said.items()}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value


def _is_default(field: Field[Any], value: object) -> bool:
    return field.default is not MISSING and bool(getattr(value, field.name) == field.default)


def to_json(value: object) -> bytes:
    """The canonical bytes of a dataclass; bytes are hexadecimal. Raises LearningError for NaN and its like."""
    try:
        return rfc8785.dumps(_plain(value))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise LearningError("training.spec_malformed", detail=str(error)) from error


def digest(value: object) -> bytes:
    """SHA-256 of the canonical bytes."""
    return sha256(to_json(value)).digest()


def from_json(kind: type[T], raw: bytes) -> T:
    """The dataclass of which `raw` is the canonical form, and no other spelling.

    Raises LearningError `training.spec_malformed`: too long, no JSON, a member missing, unknown, twice or of another
    type, or a spelling that is not canonical.
    """
    if len(raw) > LIMIT:
        raise LearningError("training.spec_malformed", detail=f"{len(raw)} bytes, at most {LIMIT}")
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise LearningError("training.spec_malformed", detail="not JSON") from error
    value = cast(T, _parsed(kind, said, ""))
    if to_json(value) != raw:
        raise LearningError("training.spec_malformed", detail="not the canonical form (RFC 8785)")
    return value


def _parsed(kind: Any, said: Json, where: str) -> object:  # noqa: ANN401 - a type form: class, union or literal
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _record(cast(type[object], kind), said, where)
    if origin is Literal:
        if said in inner and type(said) is type(inner[0]):
            return said
        raise _malformed(where, f"one of {', '.join(map(str, inner))}")
    if origin in (Union, UnionType):
        return _either(inner, said, where)
    if origin is tuple and isinstance(said, list):
        return tuple(_parsed(inner[0], part, f"{where}/{index}") for index, part in enumerate(said))
    if origin is Mapping and isinstance(said, dict):
        return {name: _parsed(inner[1], part, f"{where}/{name}") for name, part in said.items()}
    return _scalar(kind, said, where)


def _record(kind: type[object], said: Json, where: str) -> object:
    if not isinstance(said, dict):
        raise _malformed(where, "an object")
    hints = get_type_hints(kind)
    known = fields(kind)  # type: ignore[arg-type]  # `is_dataclass` was asked before
    names = [field.name for field in known if field.name in said or field.default is MISSING]
    for name in [*said, *names]:
        if name not in said or name not in names:
            raise _malformed(f"{where}/{name[:64]}", "no such member" if name in said else "this member")
    return kind(**{name: _parsed(hints[name], said[name], f"{where}/{name}") for name in names})


def _either(kinds: tuple[Any, ...], said: Json, where: str) -> object:
    for kind in kinds:
        if (kind is NoneType and said is None) or type(said) is kind:
            return said
    if float in kinds and _is_number(said):
        return float(said)
    raise _malformed(where, " or ".join("null" if kind is NoneType else kind.__name__ for kind in kinds))


def _is_number(said: Json) -> bool:
    """A real, or a whole number that JSON's readers agree on (RFC 8785: to 2^53)."""
    return abs(said) <= EXACT if type(said) is int else type(said) is float and math.isfinite(said)


def _scalar(kind: Any, said: Json, where: str) -> object:  # noqa: ANN401 - a type form
    if kind is float and _is_number(said):
        return float(said)
    if kind is bytes and isinstance(said, str) and said == said.lower():
        try:
            return bytes.fromhex(said)
        except ValueError:
            raise _malformed(where, "hexadecimal bytes") from None
    if kind in (int, str) and type(said) is kind:
        return said
    raise _malformed(where, getattr(kind, "__name__", str(kind)))
