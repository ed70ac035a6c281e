"""JSONPath (RFC 9535) of profiles: singular paths, and one wildcard where records lie. No filters, no expressions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

PATH_CHARACTERS: Final = 256
SEGMENTS: Final = 16
ANY: Final = None  # the wildcard among the steps of a path

_SEGMENT: Final = re.compile(
    r"""[ \t\r\n]*(?:\.(?P<name>[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)|(?P<all>\.\*|\[[ ]*\*[ ]*\])
    |\[[ ]*(?:'(?P<single>(?:[^'\\\x00-\x1f]|\\['\\/bfnrt])*)'|"(?P<double>(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])*)"
    |(?P<at>0|-?[1-9][0-9]{0,8}))[ ]*\])""",
    re.VERBOSE,
)
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class JsonPath:
    """Member names, indexes, and at most one wildcard (None)."""

    steps: tuple[str | int | None, ...]

    def find(self, value: Any) -> Iterator[Any]:  # noqa: ANN401 - any JSON value
        """The nodes it leads to, in order; of a singular path at most one."""
        yield from _walk(value, self.steps)

    def one(self, value: Any) -> tuple[Any] | None:  # noqa: ANN401 - any JSON value
        """The only node of a singular path, which may be null; None if there is none."""
        for found in _walk(value, self.steps):
            return (found,)
        return None


def parse_json_path(text: str, *, wildcard: bool = False) -> JsonPath | None:
    """The path; None for what is no such path. `wildcard`: one is allowed."""
    if not text.startswith("$") or len(text) > PATH_CHARACTERS:
        return None
    steps: list[str | int | None] = []
    at = 1
    while at < len(text):
        found = _SEGMENT.match(text, at)
        if found is None or len(steps) == SEGMENTS:
            return None
        steps.append(_step(found))
        at = found.end()
    return JsonPath(tuple(steps)) if steps.count(ANY) <= int(wildcard) else None


def _step(found: re.Match[str]) -> str | int | None:
    if found["all"] is not None:
        return ANY
    if found["at"] is not None:
        return int(found["at"])
    if found["name"] is not None:
        return found["name"]
    quoted = found["single"] if found["single"] is not None else found["double"]
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), quoted)


def _walk(value: Any, steps: tuple[str | int | None, ...]) -> Iterator[Any]:  # noqa: ANN401 - any JSON value
    for at, step in enumerate(steps):
        if step is ANY:
            inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
            for each in inner:
                yield from _walk(each, steps[at + 1 :])
            return
        found = _child(value, step)
        if found is None:
            return
        value = found[0]
    yield value


def _child(value: Any, step: str | int) -> tuple[Any] | None:  # noqa: ANN401 - any JSON value
    """The child, which may be null; None if there is none."""
    if isinstance(step, str):
        return (value[step],) if isinstance(value, dict) and step in value else None
    return (value[step],) if isinstance(value, list) and -len(value) <= step < len(value) else None
