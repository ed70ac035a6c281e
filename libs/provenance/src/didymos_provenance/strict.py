"""JSON that can be hashed: no duplicate keys, no floats, integers within 2^53, depth at most 32, real UTF-8."""

import json
import re
from typing import Final, NoReturn, TypeAlias

from didymos_provenance.errors import ProvenanceError

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

MAX_DEPTH: Final = 32
MAX_INTEGER: Final = (1 << 53) - 1
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[{\]}]")
_MAX_DIGITS: Final = 17  # a longer number is out of range; int() of a very long one would raise for itself


def parse_strict(raw: bytes, code: str) -> Json:
    """The JSON value of `raw`. Raises ProvenanceError `code` with what is wrong with it."""

    def refuse(why: str) -> NoReturn:
        raise ProvenanceError(code, at="json", why=why)

    def integer(text: str) -> int:
        if len(text) > _MAX_DIGITS or abs(int(text)) > MAX_INTEGER or text == "-0":
            refuse("an integer beyond 2^53")
        return int(text)

    def members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found = dict(pairs)
        if len(found) != len(pairs):
            refuse("a key twice")
        return found

    def real(_: str) -> NoReturn:
        refuse("a float")

    try:
        text = raw.decode()
        if _depth(text) > MAX_DEPTH:
            refuse("too deep")
        value: Json = json.loads(
            text, object_pairs_hook=members, parse_int=integer, parse_float=real, parse_constant=real
        )
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate has no UTF-8
    except UnicodeError:
        refuse("not UTF-8")
    except json.JSONDecodeError as error:
        raise ProvenanceError(code, at="json", why=error.msg, position=error.pos) from None
    return value


def _depth(text: str) -> int:
    """The deepest nesting of brackets outside strings; before parsing, since the parser recurses."""
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
