"""Every error of a REST surface as problem+json (RFC 9457), from the row that also serves gRPC. platform.md 4.

Where a body is at fault, `pointer` is a JSON pointer (RFC 6901); for other parts it is `?limit` (query), `{twin}`
(path) or `If-Match:` (header). What was sent is never repeated.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from didymos_contracts.errors import CATALOGUE, Problem, Row, catalogue_row
from didymos_contracts.errors.platform import (
    PLATFORM_FORBIDDEN,
    PLATFORM_INTERNAL,
    PLATFORM_INVALID_FIELD,
    PLATFORM_MALFORMED,
    PLATFORM_METHOD_NOT_ALLOWED,
    PLATFORM_NOT_FOUND,
    PLATFORM_TOO_LARGE,
    PLATFORM_UNAUTHENTICATED,
    PLATFORM_UNKNOWN_FIELD,
    PLATFORM_UNSUPPORTED_MEDIA,
)
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response

from didymos_kit.errors import ERRORS, plain, problem_of, retry_after, to_json
from didymos_kit.telemetry import tracing

MEDIA: Final = "application/problem+json"
CHALLENGE: Final = 'DPoP algs="Ed25519 EdDSA ES256"'
_BY_STATUS: Final[dict[int, Row]] = {
    401: PLATFORM_UNAUTHENTICATED,
    403: PLATFORM_FORBIDDEN,
    404: PLATFORM_NOT_FOUND,
    405: PLATFORM_METHOD_NOT_ALLOWED,
    413: PLATFORM_TOO_LARGE,
    415: PLATFORM_UNSUPPORTED_MEDIA,
    422: PLATFORM_INVALID_FIELD,
}
_WORDS: Final = {"header": "{}:", "path": "{{{}}}", "query": "?{}", "cookie": "Cookie: {}"}


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """The answer to `problem`: body, `Retry-After` where waiting helps, a challenge where proof is missing."""
    told = {"cache-control": "no-store", **(headers or {})}
    seconds = retry_after(problem)
    if seconds is not None:
        told["retry-after"] = str(seconds)
    if problem.row.http == 401:
        error = "use_dpop_nonce" if problem.row.code == "auth.use_dpop_nonce" else "invalid_token"
        told["www-authenticate"] = f'{CHALLENGE}, error="{error}"'
    body = json.dumps(to_json(problem, tracing.trace_id()), separators=(",", ":"))
    return Response(body, problem.row.http, told, MEDIA)


def problems(*rows: Row) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: what it may answer besides success, by status, for its OpenAPI document."""
    by_status: dict[int | str, list[Row]] = {}
    for row in rows:
        by_status.setdefault(row.http, []).append(row)
    return {status: _documented(found) for status, found in by_status.items()}


def _documented(rows: Sequence[Row]) -> dict[str, Any]:
    schema = {
        "allOf": [{"$ref": "#/components/schemas/Problem"}],
        "properties": {"code": {"examples": sorted(row.code for row in rows)}},
    }
    return {"description": "; ".join(row.title for row in rows), "content": {MEDIA: {"schema": schema}}}


PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "RFC 9457, with members of the case beside these.",
    "required": ["type", "title", "status", "code", "retry", "trace_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "retry": {"enum": ["never", "refresh", "later"]},
        "trace_id": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")},
            },
        },
    },
}


def install(app: Starlette) -> None:
    """Answer what routing, parsing and validation refuse. The rest is caught by `Edge`, outside of them."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(Problem, _any)
    if isinstance(app, FastAPI):
        app.openapi_version = "3.1.0"


async def _any(_request: Request, error: Exception) -> Response:
    return problem_response(problem_of(error))


async def _http(request: Request, error: Exception) -> Response:
    """What the framework refuses. A body that could not be read carries our own problem as its cause."""
    if not isinstance(error, HTTPException):
        raise error
    if error.__cause__ is not None and error.status_code == 400:
        caused = _cause(error.__cause__)
        if caused is not None:
            return problem_response(caused)
    if error.status_code >= 500:
        return problem_response(problem_of(error))
    row = _BY_STATUS.get(error.status_code, PLATFORM_MALFORMED)
    values = {"method": request.method} if row is PLATFORM_METHOD_NOT_ALLOWED else {}
    return problem_response(row.problem(**values), dict(error.headers or {}))


def _cause(cause: BaseException) -> Problem | None:
    if isinstance(cause, RecursionError):
        return PLATFORM_MALFORMED.problem(pointer="", detail="nested too deep")
    if isinstance(cause, UnicodeDecodeError):
        return PLATFORM_MALFORMED.problem(pointer="", detail="not UTF-8", offset=cause.start)
    return cause if isinstance(cause, Problem) else None


async def _validation(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return problem_response(validation_problem(error.errors()))


def validation_problem(errors: Iterable[dict[str, Any]]) -> Problem:
    """One problem for all that a body, path, query or header breaks; the gravest names it."""
    entries = [_entry(error) for error in errors][:ERRORS]
    codes = [entry["code"] for entry in entries]
    for row in (PLATFORM_MALFORMED, PLATFORM_UNKNOWN_FIELD, PLATFORM_INVALID_FIELD):
        if row.code in codes:
            return row.problem(errors=entries)
    return catalogue_row(codes[0]).problem(errors=entries)


def _entry(error: dict[str, Any]) -> dict[str, str]:
    """One finding of the validator as `{pointer, code, detail}`; a library error inside keeps its own code."""
    kind, cause = error["type"], error.get("ctx", {}).get("error")
    code = getattr(cause, "code", None)
    if kind == "json_invalid":
        return {"pointer": "", "code": PLATFORM_MALFORMED.code, "detail": f"{cause} at byte {error['loc'][-1]}"}
    if isinstance(code, str) and code in CATALOGUE and CATALOGUE[code] is not PLATFORM_INTERNAL:
        detail = getattr(cause, "detail", None) or CATALOGUE[code].title
        return {"pointer": _pointer(error["loc"]), "code": code, "detail": plain(str(detail))}
    row = PLATFORM_UNKNOWN_FIELD if kind == "extra_forbidden" else PLATFORM_INVALID_FIELD
    return {"pointer": _pointer(error["loc"]), "code": row.code, "detail": plain(str(error["msg"]))}


def _pointer(loc: Sequence[str | int]) -> str:
    where, *steps = loc or ("body",)
    if where in _WORDS:
        return _WORDS[str(where)].format(steps[0] if steps else "")
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)
