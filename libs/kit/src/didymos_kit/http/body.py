"""What comes in over REST, taken strictly: size, media type, JSON, names of members and of query parameters."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from didymos_contracts.errors.platform import (
    PLATFORM_MALFORMED,
    PLATFORM_TOO_LARGE,
    PLATFORM_UNKNOWN_FIELD,
    PLATFORM_UNSUPPORTED_MEDIA,
)
from didymos_did import parse_strict
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

BODY_BYTES: Final = 64 * 1024
FORM: Final = "application/x-www-form-urlencoded"
_LIMIT: Final = "__didymos_body_bytes__"
_FLOATS: Final = "__didymos_floats__"
_MEDIA: Final = "__didymos_media__"
JSON: Final = "application/json"
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Strict(BaseModel):
    """A request body: unknown members are refused, and it never changes. A route's body must be one of these."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


def accepts(
    *, limit: int = BODY_BYTES, floats: bool = False, media: tuple[str, ...] = (JSON,)
) -> Callable[[Endpoint], Endpoint]:
    """Mark an endpoint: bytes of its body, whether numbers may be fractions, media types. Below the route decorator.

    `limit` holds for every body; the rest for one that the framework parses.
    """

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _LIMIT, limit)
        setattr(endpoint, _FLOATS, floats)
        setattr(endpoint, _MEDIA, media)
        return endpoint

    return mark


@dataclass(frozen=True, slots=True)
class Shape:
    """What a route takes, found once at start: its query names, whether it has a JSON body."""

    query: frozenset[str]
    json_body: bool
    limit: int
    floats: bool
    media: tuple[str, ...]


def shape_of(endpoint: object, query: frozenset[str], *, json_body: bool) -> Shape:
    limit, floats = getattr(endpoint, _LIMIT, BODY_BYTES), getattr(endpoint, _FLOATS, False)
    return Shape(query, json_body, limit, floats, getattr(endpoint, _MEDIA, (JSON,)))


def limited(scope: Scope, receive: Receive) -> Receive:
    """`receive` that raises `platform.too_large` beyond the limit of the route that was found meanwhile."""
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            limit = getattr(getattr(scope.get("route"), "endpoint", None), _LIMIT, BODY_BYTES)
            taken += len(message.get("body", b""))
            if taken > limit or _announced(scope) > limit:
                raise PLATFORM_TOO_LARGE.problem(limit=limit)
        return message

    return counted


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


async def strict_input(request: Request) -> None:
    """The dependency before all others of a service: refuses what the framework would let pass.

    Raises PLATFORM_UNKNOWN_FIELD (query name), PLATFORM_UNSUPPORTED_MEDIA, PLATFORM_MALFORMED (duplicate member, NaN,
    float where only whole numbers are taken, depth), PLATFORM_TOO_LARGE.
    """
    shape: Shape | None = request.app.state.shapes.get(id(request.scope["route"]))
    if shape is None:  # the OpenAPI document: it takes nothing
        return
    for name in request.query_params:
        if name not in shape.query:
            raise PLATFORM_UNKNOWN_FIELD.problem(pointer=f"?{name[:64]}", detail="this query name is not known here")
        if len(request.query_params.getlist(name)) > 1:  # lists travel comma-separated, or in a body
            raise PLATFORM_MALFORMED.problem(pointer=f"?{name}", detail="stands more than once")
    check_text(request.path_params, "path")
    check_text(dict(request.query_params), "query")
    if shape.json_body:
        body = await request.body()
        if body:
            require_media(request, *shape.media)
            check_text(parse_strict(body, limit=shape.limit, floats=shape.floats), "")


def check_text(value: object, pointer: str) -> None:
    """Refuse strings that no store or answer can hold: a NUL, half of a surrogate pair. Raises PLATFORM_MALFORMED."""
    match value:
        case str():
            if "\0" in value or (not value.isascii() and _SURROGATE.search(value)):
                raise PLATFORM_MALFORMED.problem(pointer=pointer, detail="a character that is no text")
        case dict():
            for name, inner in value.items():
                check_text(name, pointer)
                check_text(inner, f"{pointer}/{name}")
        case list():
            for index, inner in enumerate(value):
                check_text(inner, f"{pointer}/{index}")


def _media(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_media(request: Request, *accepted: str) -> str:
    """The media type of a body that the endpoint reads itself. Raises PLATFORM_UNSUPPORTED_MEDIA."""
    media = _media(request)
    if media not in accepted:
        raise PLATFORM_UNSUPPORTED_MEDIA.problem(accepted=list(accepted))
    return media


async def form(request: Request, *known: str) -> dict[str, str]:
    """The fields of an URL-encoded form, each at most once, none beyond `known`."""
    require_media(request, FORM)
    try:
        pairs = parse_qsl(
            (await request.body()).decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=64,
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise PLATFORM_MALFORMED.problem(pointer="", detail="not a form") from error
    found = dict(pairs)
    if len(found) != len(pairs):
        raise PLATFORM_MALFORMED.problem(pointer="", detail="a field stands twice")
    for name in found:
        if name not in known:
            raise PLATFORM_UNKNOWN_FIELD.problem(pointer=f"/{name[:64]}", detail="this field is not known here")
    return found
