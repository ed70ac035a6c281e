"""`POST /v1/batches`: signed batches, and packs of the formats that devices speak already."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

import msgspec
from didymos_contracts.errors import Problem
from didymos_contracts.errors.ingestion import (
    BATCH_AUDIENCE_WRONG,
    BATCH_DEVICE_LOST,
    BATCH_DEVICE_UNKNOWN,
    BATCH_KEY_UNKNOWN,
    BATCH_MALFORMED,
    BATCH_MEDIA_UNSUPPORTED,
    BATCH_ROOT_MISMATCH,
    BATCH_SIGNATURE_INVALID,
    BATCH_TOO_LARGE,
    BATCH_VERSION_UNKNOWN,
    PROFILE_UNKNOWN,
    READING_MALFORMED,
    READING_NOT_ENROLLED,
    READING_OUT_OF_BOUNDS,
    TWIN_SUSPENDED,
)
from didymos_contracts.errors.platform import (
    PLATFORM_INVALID_FIELD,
    PLATFORM_OVERLOADED,
    PLATFORM_TOO_LARGE,
    PLATFORM_UNAVAILABLE,
    PLATFORM_UNKNOWN_FIELD,
    QUOTA_EXCEEDED,
)
from didymos_kit.http import PUBLIC, accepts, problems
from didymos_kit.http.principal import authenticate
from didymos_readings import (
    CLOUDEVENT,
    CLOUDEVENTS,
    CSV_BYTES,
    DECODERS,
    Assurance,
    binary_event,
    media_of,
    parse_batch,
    parse_batch_json,
    parse_event,
    parse_events,
)
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from didymos_ingestion.application.accept_batch import Taken
from didymos_ingestion.application.accept_pack import Pack
from didymos_ingestion.entrypoints.intake import Intake
from didymos_ingestion.entrypoints.sender import (
    SignedSender,
    fields_of,
    is_proved,
    is_signed,
    verify_proof,
    verify_sender,
)

BATCH: Final = "application/vnd.didymos.batch"
BATCH_JSON: Final = "application/vnd.didymos.batch+json"
SIGNED: Final = (BATCH, BATCH_JSON)
MEDIA: Final = (*SIGNED, *DECODERS, CLOUDEVENT, CLOUDEVENTS)
BODY_BYTES: Final = 3 << 19  # a batch of 1 MiB in base64, and its member names
STREAM_MOST: Final = (1 << 32) - 1
NUMBER_MOST: Final = (1 << 63) - 1
EVENT: Final = "ce-specversion"  # an event in binary mode: its data is the body
PROFILE_CHARACTERS: Final = 80
Wait = Callable[[str | None], Awaitable[None]]
_encode: Final = msgspec.json.Encoder().encode
_TAKEN_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["batch", "accepted", "refused", "token"],
    "properties": {
        "batch": {"type": "string", "description": "SHA-256 that the batch is known by, in hexadecimal"},
        "accepted": {"type": "integer"},
        "refused": {"type": "array", "items": {
            "type": "object", "required": ["index", "count", "code", "detail"], "properties": {
                "index": {"type": "integer"}, "count": {"type": "integer"}, "code": {"type": "string"},
                "detail": {"type": "string"},
            },
        }},
        "token": {"type": "string", "description": "consistency token of what was accepted"},
    },
}  # fmt: skip
_HEADERS: Final = {
    "Consistency-Token": "wait until what this names has arrived here",
    "Didymos-Stream": "of a pack: boot counter of the device, from 0",
    "Didymos-Number": "of a pack: plus one with each of the stream; 0 or absent: the digest of the body tells repeats",
    "Didymos-Backfill": "of a pack: true for old data by intent, which is not scored for being late",
    "Signature-Input": "of a pack: RFC 9421, by the key of the device; instead of a token",
    "Signature": "the same",
    "Content-Digest": "RFC 9530; the signature covers it",
}
_OBJECTS: Final[dict[str, Any]] = {"type": "array", "items": {"type": "object"}}
_BINARY: Final[dict[str, Any]] = {"type": "string", "format": "binary"}
_BODIES: Final[dict[str, dict[str, Any]]] = {
    "application/senml+json": _OBJECTS,
    "application/sensml+json": _OBJECTS,
    "application/senml+cbor": _BINARY,
    "application/sensml+cbor": _BINARY,
    "text/csv": _BINARY,
    "application/json": {},
    "application/ld+json": {},
    CLOUDEVENTS: _OBJECTS,
}
_OPENAPI: Final[dict[str, Any]] = {
    "parameters": [
        {"name": name, "in": "header", "required": False, "description": said, "schema": {"type": "string"}}
        for name, said in _HEADERS.items()
    ]
    + [{
        "name": "profile", "in": "query", "required": False, "schema": {"type": "string"},
        "description": "of a pack: id@version, whose mapping reads it; else that of the enrolment",
    }],
    "requestBody": {"required": True, "content": {
        BATCH: {"schema": {"type": "string", "format": "binary"}},
        BATCH_JSON: {"schema": {"type": "object"}},
        **{media: {"schema": _BODIES.get(media, {"type": "object"})} for media in MEDIA[2:]},
    }},
    "responses": {"202": {"description": "In the log", "content": {"application/json": {"schema": _TAKEN_SCHEMA}}}},
}  # fmt: skip
_REFUSED: Final = problems(
    BATCH_MALFORMED, BATCH_VERSION_UNKNOWN, BATCH_ROOT_MISMATCH, BATCH_SIGNATURE_INVALID, BATCH_KEY_UNKNOWN,
    BATCH_AUDIENCE_WRONG, BATCH_DEVICE_UNKNOWN, BATCH_DEVICE_LOST, BATCH_MEDIA_UNSUPPORTED, BATCH_TOO_LARGE,
    PROFILE_UNKNOWN, READING_MALFORMED, READING_NOT_ENROLLED, READING_OUT_OF_BOUNDS, TWIN_SUSPENDED, QUOTA_EXCEEDED,
    PLATFORM_OVERLOADED, PLATFORM_UNAVAILABLE,
)  # fmt: skip


class Direct(APIRoute):
    """A route whose endpoint takes the request as it is: what the framework does before and after costs more than the
    checks of a batch. It is documented, counted and guarded as any other."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


def batch_routes(intake: Intake, wait: Wait) -> APIRouter:
    """`wait`: until what a `Consistency-Token` of the caller names has arrived here."""
    router = APIRouter(prefix="/v1", route_class=Direct)

    @router.post("/batches", status_code=202, responses=_REFUSED, openapi_extra=_OPENAPI, dependencies=[PUBLIC])
    @accepts(limit=CSV_BYTES, media=MEDIA)
    async def send(request: Request) -> Response:
        """Take readings. A batch proves its sender by its signature; a pack of another format by that of its request
        (RFC 9421), or by a token bound to a key."""
        headers = request.headers
        media = media_of(headers.get("content-type", ""))
        if media not in MEDIA:
            raise BATCH_MEDIA_UNSUPPORTED.problem(accepted=list(MEDIA))
        announced = headers.get("content-length", "")
        size = int(announced) if announced.isdigit() and len(announced) < 10 else 0
        if size > (BODY_BYTES if media in SIGNED else CSV_BYTES):
            raise BATCH_TOO_LARGE.problem(limit=BODY_BYTES if media in SIGNED else CSV_BYTES)
        intake.shed(size)
        profile = _asked(request) if request.scope["query_string"] else ""
        await wait(headers.get("consistency-token"))
        if media not in SIGNED:
            return _answer(await _pack(request, media, profile, intake))
        if profile:
            raise PLATFORM_UNKNOWN_FIELD.problem(pointer="?profile", detail="a signed batch names its profile itself")
        body = await _body(request, BODY_BYTES)
        parse = parse_batch if media == BATCH else parse_batch_json
        kind = "protobuf" if media == BATCH else "json"
        return _answer(await intake.signed(lambda: parse(body), len(body), kind))

    return router


async def _pack(request: Request, media: str, profile: str, intake: Intake) -> Taken:
    """A body of a foreign format. A token is checked before it is read, a signature can only be after."""
    (stream, number), backfill = _numbered(request), _backfill(request)
    if is_proved(request, media) and not is_signed(request):
        body = await _body(request, CSV_BYTES)
        proved = verify_proof(body, intake)
        pack = _told(
            Pack(media, body, proved.device, stream, number, Assurance.HTTP, profile, backfill=backfill), proved
        )
    elif is_signed(request):
        body = await _body(request, CSV_BYTES)
        signed = verify_sender(request, body, intake)
        pack = Pack(
            media, body, signed.device, stream, number, Assurance.HTTP, profile, original=signed.original,
            apart=signed.signature, backfill=backfill,
        )  # fmt: skip
    else:
        device = (await authenticate(request)).caller
        body = await _body(request, CSV_BYTES)
        pack = Pack(media, body, device, stream, number, Assurance.TOKEN, profile, backfill=backfill)
    if media == CLOUDEVENTS:
        return await intake.events(lambda: parse_events(pack.body), pack)
    if media == CLOUDEVENT:
        return await intake.events(lambda: [parse_event(pack.body)], pack)
    if EVENT in request.headers:
        return await intake.events(lambda: [binary_event(fields_of(request), pack.body)], pack)
    return await intake.pack(pack)


def _told(pack: Pack, proved: SignedSender) -> Pack:
    """With what the document says of itself, under its proof; headers beside it are nobody's."""
    said = proved.said
    if said is None or pack.stream or pack.number or pack.profile or pack.backfill:
        raise PLATFORM_INVALID_FIELD.problem(pointer="Didymos-Number:", detail="a document with a proof numbers itself")
    told = replace(pack, stream=said.stream, number=said.number, profile=said.profile, backfill=said.backfill)
    return replace(told, original=proved.original)


def _asked(request: Request) -> str:
    """`?profile=`, once and alone. Raises PLATFORM_UNKNOWN_FIELD, PLATFORM_INVALID_FIELD."""
    asked = request.query_params.multi_items()
    if [name for name, _ in asked] != ["profile"]:
        raise PLATFORM_UNKNOWN_FIELD.problem(pointer="?", detail="this route takes profile, once")
    profile = asked[0][1]
    if not 0 < len(profile) <= PROFILE_CHARACTERS:
        raise PLATFORM_INVALID_FIELD.problem(pointer="?profile", detail="a profile is id@version")
    return profile


async def _body(request: Request, limit: int) -> bytes:
    try:
        body = await request.body()
    except Problem as problem:
        if problem.row is PLATFORM_TOO_LARGE:
            raise BATCH_TOO_LARGE.problem(limit=limit) from problem
        raise
    except ClientDisconnect as broken:  # nobody is left to be answered, but the log should not call it our mistake
        raise BATCH_MALFORMED.problem(detail="the body broke off") from broken
    if len(body) > limit:
        raise BATCH_TOO_LARGE.problem(limit=limit)
    return body


def _numbered(request: Request) -> tuple[int, int]:
    """(stream, number) of a pack. Raises PLATFORM_INVALID_FIELD."""
    return _whole(request, "Didymos-Stream", STREAM_MOST), _whole(request, "Didymos-Number", NUMBER_MOST)


def _backfill(request: Request) -> bool:
    """Raises PLATFORM_INVALID_FIELD."""
    said = request.headers.get("didymos-backfill", "false")
    if said not in ("true", "false"):
        raise PLATFORM_INVALID_FIELD.problem(pointer="Didymos-Backfill:", detail="true or false")
    return said == "true"


def _whole(request: Request, name: str, most: int) -> int:
    text = request.headers.get(name)
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= most):
        raise PLATFORM_INVALID_FIELD.problem(pointer=f"{name}:", detail=f"a whole number from 0 to {most}")
    return int(text)


def _answer(taken: Taken) -> Response:
    refused = [
        {"index": each.index, "count": each.count, "code": each.code, "detail": each.detail} for each in taken.refused
    ]
    said = {"batch": taken.digest.hex(), "accepted": taken.accepted, "refused": refused, "token": taken.token}
    return Response(_encode(said), 202, {"consistency-token": taken.token}, "application/json")
