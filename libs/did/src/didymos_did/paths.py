"""Paths of a twin and the patterns that grants name. identity.md section 6."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from didymos_did.errors import DidError

DEPTH: Final = 8
_CHARACTERS: Final = DEPTH * 65 - 1
_SEGMENT: Final = re.compile(r"[a-z0-9_-]{1,64}")


def is_path(text: str) -> bool:
    """Whether this is a path: 1 to 8 segments, such as `features/glucose/level`."""
    return len(text) <= _CHARACTERS and _is_path(text)


@lru_cache(maxsize=8192)
def _is_path(text: str) -> bool:
    parts = text.split("/")
    return len(parts) <= DEPTH and all(map(_SEGMENT.fullmatch, parts))


def parse_path(text: object) -> str:
    """A path as it is. Raises DidError `grant.path_malformed`."""
    if not isinstance(text, str) or not is_path(text):
        raise DidError("grant.path_malformed", "a path is 1 to 8 segments of a-z 0-9 _ - joined by /")
    return text


def parse_pattern(text: object) -> str:
    """A path in which `*` stands for one segment and a last `**` for one or more. Raises DidError."""
    parts = text.split("/") if isinstance(text, str) else []
    body = parts[:-1] if parts and parts[-1] == "**" else parts
    if not 1 <= len(parts) <= DEPTH or not all(part == "*" or _SEGMENT.fullmatch(part) for part in body):
        raise DidError("grant.path_malformed", "a pattern is a path with * for a segment and ** at the end")
    return "/".join(parts)


@lru_cache(maxsize=8192)
def matches(pattern: str, path: str) -> bool:
    """Whether `path` is one of those that `pattern` names."""
    wanted, parts = pattern.split("/"), path.split("/")
    if wanted[-1] == "**":
        wanted = wanted[:-1]
        if len(parts) <= len(wanted):
            return False
        parts = parts[: len(wanted)]
    return len(wanted) == len(parts) and all(w in ("*", part) for w, part in zip(wanted, parts, strict=True))


def includes(pattern: str, inner: str) -> bool:
    """Whether every path that the pattern `inner` names is named by `pattern`."""
    wide, narrow = pattern.split("/"), inner.split("/")
    if wide[-1] == "**":
        wide = wide[:-1]
        tail = narrow[:-1] if narrow[-1] == "**" else narrow
        if len(narrow) <= len(wide) or len(tail) < len(wide):
            return False
        narrow = tail[: len(wide)]
    elif narrow[-1] == "**":
        return False
    return len(wide) == len(narrow) and all(w in ("*", part) for w, part in zip(wide, narrow, strict=True))


def all_included(patterns: Iterable[str], inner: Iterable[str]) -> bool:
    """Whether each of `inner` is within one of `patterns`."""
    known = tuple(patterns)
    return all(any(includes(pattern, each) for pattern in known) for each in inner)
