"""REST of profiles: which ones twins can be created under, what each says and who signed it, and new ones."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from didymos_contracts.errors.ingestion import PROFILE_MALFORMED
from didymos_contracts.errors.platform import (
    PLATFORM_FORBIDDEN,
    PLATFORM_NOT_FOUND,
    PLATFORM_TOO_LARGE,
    PLATFORM_UNSUPPORTED_MEDIA,
)
from didymos_contracts.errors.twin import (
    PROFILE_IMMUTABLE,
    PROFILE_NAME_TAKEN,
    PROFILE_SIGNATURE_INVALID,
    PROFILE_TOO_MANY,
)
from didymos_kit.dispatch import Dispatcher, answer
from didymos_kit.http.body import JSON, accepts, require_media
from didymos_kit.http.principal import Caller
from didymos_kit.http.problems import problems
from didymos_readings import Profile, ProfileBook, Property
from didymos_readings.profile import PROFILE_BYTES
from didymos_readings.signed_profile import profile_document
from fastapi import APIRouter, Path, Request, Response

from didymos_twin_state.application.publish_profile import Published, Publishers, Work, publish_profile
from didymos_twin_state.entrypoints.waiting import TokenHeader

DOCUMENT_SCHEMA: Final = {
    "type": "object",
    "description": "A profile with an eddsa-jcs-2022 proof in `proof`",
    "required": ["id", "title", "properties", "proof"],
    "properties": {
        "id": {"type": "string", "description": "name@version"},
        "title": {"type": "string", "maxLength": 256},
        "properties": {"type": "array", "items": {"type": "object"}, "maxItems": 1000},
        "other": {"type": "object", "description": "What rules properties that are not named"},
        "csv": {"type": "object", "description": "How rows of CSV files are read"},
        "json": {"type": "object", "description": "How JSON documents are read"},
        "proof": {"type": "object"},
    },
    "additionalProperties": False,
}
ProfileId = Annotated[str, Path(max_length=80)]


@dataclass(frozen=True, slots=True)
class ProfileRoutes:
    """What the routes of profiles work with. `wait`: until what a consistency token names has arrived here."""

    book: ProfileBook
    dispatch: Dispatcher[Work]
    publishers: Publishers
    wait: Callable[[str | None], Awaitable[None]]


def routes(parts: ProfileRoutes) -> APIRouter:
    router = APIRouter(prefix="/v1/profiles")
    _reads(router, parts)
    _publishing(router, parts)
    return router


def _reads(router: APIRouter, parts: ProfileRoutes) -> None:
    book = parts.book

    @router.get("")
    async def profiles(_caller: Caller, token: TokenHeader = None) -> dict[str, Any]:
        """The profiles that twins can be created under. `signed_by` is null for those that come with the house."""
        await parts.wait(token)
        found = [book.known[name] for name in sorted(book.known)]
        return {"profiles": [{"id": p.id, "title": p.title, "signed_by": _signer(book, p.id)} for p in found]}

    @router.get("/{profile_id}", responses=problems(PLATFORM_NOT_FOUND))
    async def profile(profile_id: ProfileId, _caller: Caller, token: TokenHeader = None) -> dict[str, Any]:
        """What its properties are. `document`: as it was signed, for whoever checks the proof or reads the mappings."""
        await parts.wait(token)
        found = book.known.get(profile_id)
        if found is None:
            raise PLATFORM_NOT_FOUND.problem(profile=profile_id)
        signed = book.signed.get(profile_id)
        document = None if signed is None else profile_document(signed)
        return profile_json(found) | {"signed_by": _signer(book, profile_id), "document": document}


def _publishing(router: APIRouter, parts: ProfileRoutes) -> None:
    @router.post(
        "", status_code=201,
        responses=problems(
            PLATFORM_FORBIDDEN, PLATFORM_TOO_LARGE, PLATFORM_UNSUPPORTED_MEDIA, PROFILE_MALFORMED,
            PROFILE_SIGNATURE_INVALID, PROFILE_IMMUTABLE, PROFILE_NAME_TAKEN, PROFILE_TOO_MANY,
        ),
        openapi_extra={"requestBody": {"required": True, "content": {JSON: {"schema": DOCUMENT_SCHEMA}}}},
    )  # fmt: skip
    @accepts(limit=PROFILE_BYTES, floats=True)
    async def publish(caller: Caller, request: Request, response: Response) -> dict[str, Any]:
        """A new kind of device, for publishers of this house. Never changes: the same again is answered with 200."""
        require_media(request, JSON)
        text = await request.body()
        done = await parts.dispatch(lambda work: publish_profile(text, caller.caller, parts.publishers, work))
        said: Published = answer(response, done)
        if not said.fresh:
            response.status_code = 200
        profile = said.signed.profile
        response.headers["location"] = f"/twin-state/v1/profiles/{profile.id}"
        return {"id": profile.id, "title": profile.title, "signed_by": said.signed.signer}


def profile_json(profile: Profile) -> dict[str, Any]:
    return {
        "id": profile.id, "title": profile.title,
        "properties": [_property_json(each) for _, each in sorted(profile.properties.items())],
        "other": None if profile.other is None else _property_json(profile.other),
    }  # fmt: skip


def _signer(book: ProfileBook, name: str) -> str | None:
    signed = book.signed.get(name)
    return None if signed is None else signed.signer


def _property_json(rule: Property) -> dict[str, Any]:
    hard, soft = (None if each is None else [each.low, each.high] for each in (rule.hard, rule.soft))
    return {
        "name": rule.name, "kind": rule.kind, "unit": rule.unit, "semantic_ids": list(rule.semantic_ids),
        "period_s": rule.period_s, "latency_s": rule.latency_s, "soft": soft, "hard": hard, "max_rate": rule.max_rate,
        "flat_n": rule.flat_n, "molar_mass": None if rule.molar_mass is None else str(rule.molar_mass),
        "searchable": rule.searchable, "desired": rule.desired,
    }  # fmt: skip
