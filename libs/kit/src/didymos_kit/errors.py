"""One error, three prints: RFC 9457 problem+json, google.rpc.Status, an exit code. platform.md 4.

Values of a problem that have a meaning of their own: `pointer` (where in the input, RFC 6901), `detail` (what is wrong
there), `errors` (several `{pointer, code, detail}`) and `retry_after_seconds`.
"""

import json
import math
import traceback
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from didymos_contracts.errors import Problem, Row, catalogue_row
from didymos_contracts.errors.platform import (
    PLATFORM_DEADLINE,
    PLATFORM_INTERNAL,
    PLATFORM_INVALID_SETTING,
    PLATFORM_UNAVAILABLE,
    PLATFORM_UNKNOWN_SETTING,
)

from didymos_kit import log

DOMAIN: Final = "didymos"
TYPE_PREFIX: Final = "urn:didymos:problem:"
RETRY_SECONDS: Final = 1
TEXT: Final = 512  # characters of one value; gRPC carries all of a problem in 8 KiB of trailers
ERRORS: Final = 16  # entries of `errors`
VALUES: Final = 32
_RESERVED: Final = frozenset({"type", "title", "status", "code", "retry", "trace_id", "instance", "errors"})
_SAFE: Final = 2**53 - 1


def problem_of(error: BaseException) -> Problem:
    """The problem that `error` is: itself, a library error by its `code` and `values`, else our mistake, logged."""
    if isinstance(error, Problem):
        return error
    code, values = getattr(error, "code", None), getattr(error, "values", None)
    if isinstance(code, str) and isinstance(values, Mapping):
        row = catalogue_row(code)
        if row is not PLATFORM_INTERNAL:
            return Problem(row, dict(values))
    if isinstance(error, TimeoutError):
        return PLATFORM_DEADLINE.problem()
    if isinstance(error, ConnectionError):
        return PLATFORM_UNAVAILABLE.problem()
    log_mistake(error)
    return PLATFORM_INTERNAL.problem()


def log_mistake(error: BaseException) -> None:
    """Log what nobody expected: its type, its text (short) and where it came from, without values of variables."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log.get().error("platform.mistake", error=type(error).__name__, said=str(error)[:300], frames=frames[-12:])


def plain(value: object) -> Any:  # noqa: ANN401 - what JSON can say
    """`value` as JSON says it, within the bounds of one answer."""
    match value:
        case None | bool():
            return value
        case str():
            said = (
                value if value.isascii() else value.encode("utf-8", "replace").decode()
            )  # a lone surrogate is no text
            return said if len(said) <= TEXT else said[: TEXT - 1] + "…"
        case int():
            return int(value) if -_SAFE <= value <= _SAFE else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case bytes():
            return plain(urlsafe_b64encode(value).rstrip(b"=").decode())
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(name)[:64]: plain(inner) for name, inner in list(value.items())[:VALUES]}
        case list() | tuple() | set() | frozenset():
            return [plain(inner) for inner in list(value)[:ERRORS]]
        case _:
            return plain(str(value))


def values_of(problem: Problem) -> dict[str, Any]:
    """What may be told of `problem`: nothing of an internal one."""
    if problem.row is PLATFORM_INTERNAL:
        return {}
    told: dict[str, Any] = plain(problem.values)
    return told


def field_errors(problem: Problem) -> list[dict[str, str]]:
    """`errors[]` of the answer: those of the problem, or the one that its `pointer` makes."""
    values = values_of(problem)
    if "errors" in values:
        return [{name: str(said) for name, said in entry.items()} for entry in values["errors"]]
    if "pointer" not in values:
        return []
    detail = values.get("detail", problem.row.title)
    return [{"pointer": str(values["pointer"]), "code": problem.row.code, "detail": str(detail)}]


def to_json(problem: Problem, trace_id: str) -> dict[str, Any]:
    """The problem+json object (RFC 9457). Values become extension members; what the RFC names is never overwritten."""
    values, row = values_of(problem), problem.row
    said: dict[str, Any] = {
        "type": TYPE_PREFIX + row.code, "title": row.title, "status": row.http, "code": row.code, "retry": row.retry,
        "trace_id": trace_id,
    }  # fmt: skip
    found = field_errors(problem)
    if found:
        said["errors"] = found
    said.update({name: value for name, value in values.items() if name not in _RESERVED})
    return said


def from_json(said: Mapping[str, Any]) -> Problem:
    """The problem behind a problem+json object; an unknown code is `platform.internal`."""
    values = {name: value for name, value in said.items() if name not in _RESERVED}
    if "errors" in said and "pointer" not in said:
        values["errors"] = said["errors"]
    return Problem(catalogue_row(str(said.get("code", ""))), values)


def retry_after(problem: Problem) -> int | None:
    """Seconds to wait, for problems that pass by themselves."""
    if problem.row.retry != "later":
        return None
    seconds = problem.values.get("retry_after_seconds", RETRY_SECONDS)
    return max(1, math.ceil(seconds)) if isinstance(seconds, int | float) and math.isfinite(seconds) else RETRY_SECONDS


def exit_code(problem: Problem) -> int:
    """0 done, 1 failed, 2 usage, 3 refused, 4 dependency."""
    row: Row = problem.row
    if row in (PLATFORM_UNKNOWN_SETTING, PLATFORM_INVALID_SETTING):
        return 2
    if row.grpc in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
        return 4
    return 1 if row.http >= 500 else 3


def spell(value: object) -> str:
    """One value as metadata text: strings as they are, unless they would read as JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def unspell(text: str) -> Any:  # noqa: ANN401 - what JSON can say
    """The inverse of `spell`."""
    try:
        return json.loads(text)
    except ValueError:
        return text
