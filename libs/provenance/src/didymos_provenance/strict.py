"""The strict JSON parser and the canonical form of `didymos_did`, with this library's error."""

from typing import Final, TypeAlias

from didymos_did.errors import DidError
from didymos_did.jcs import jcs
from didymos_did.jcs import parse_strict as parse_json

from didymos_provenance.errors import ProvenanceError

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"
MAX_INTEGER: Final = (1 << 53) - 1


def parse_strict(raw: bytes, code: str, limit: int = 64 * 1024) -> Json:
    """JSON without a member twice, a float, or more than 32 levels. Raises ProvenanceError `code`."""
    try:
        found: Json = parse_json(raw, limit=limit)
    except DidError as error:
        raise ProvenanceError(code, at="json", why=error.detail) from error
    return found


def canonical(value: Json, code: str) -> bytes:
    """The bytes of RFC 8785. Raises ProvenanceError `code` for what JSON cannot say, such as integers beyond 2^53."""
    try:
        return jcs(value)
    except DidError as error:
        raise ProvenanceError(code, at="canonical form", why=error.detail) from error
