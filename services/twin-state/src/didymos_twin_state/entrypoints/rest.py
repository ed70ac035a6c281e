"""REST of twins: state, desired values, relations, life, live changes. Bodies and headers in, use case, answer out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.errors.platform import (
    PLATFORM_INVALID_FIELD,
    PLATFORM_NOT_FOUND,
    PLATFORM_PRECONDITION_REQUIRED,
)
from didymos_contracts.errors.twin import (
    DESIRED_OUT_OF_BOUNDS,
    READ_TOKEN_TIMEOUT,
    TWIN_EXISTS,
    TWIN_LIFECYCLE_REFUSED,
    TWIN_REVISION_CONFLICT,
    TWIN_TOO_MANY_RELATIONS,
)
from didymos_did import Did, TwinId, parse_strict
from didymos_kit.access import Principal
from didymos_kit.dispatch import TOKEN
from didymos_kit.http.body import Strict, accepts, check_text, require_media
from didymos_kit.http.etag import IfMatchHeader, etag
from didymos_kit.http.principal import Caller
from didymos_kit.http.problems import problems
from didymos_readings import Profile
from fastapi import APIRouter, Header, Request, Response
from pydantic import Field

from didymos_twin_state.application.permits import Permits
from didymos_twin_state.application.read_twin import TwinView, part_of, read_twin
from didymos_twin_state.application.write_twin import Pen, Written, administer, create_twin, patch_desired
from didymos_twin_state.domain.command import (
    Body,
    Command,
    Create,
    DeleteRelation,
    PatchDesired,
    PutRelation,
    SetLifecycle,
    SetRetention,
)
from didymos_twin_state.domain.twin import Lifecycle, Relation
from didymos_twin_state.entrypoints.commands import Requests, patched_entries
from didymos_twin_state.entrypoints.shapes import reader_of, view_json, wishes_json
from didymos_twin_state.entrypoints.waiting import Arrivals, TokenHeader

MERGE_PATCH: Final = "application/merge-patch+json"
PATCH_SCHEMA: Final = {
    "type": "object",
    "description": "By property; null removes. Members that are left out stay as they are (RFC 7396).",
    "additionalProperties": {
        "type": ["object", "null"],
        "properties": {
            "value": {"description": "A number, true or false, a text, or [longitude, latitude, altitude]"},
            "unit": {"type": "string", "description": "UCUM code"},
            "expires_at_us": {"type": "integer", "minimum": 0, "description": "0: does not expire"},
        },
        "additionalProperties": False,
    },
}
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)]
Text = Annotated[str, Field(min_length=1, max_length=256)]
RELATIONS: Final = "relations"  # paths of the right to administer
LIFECYCLE: Final = "lifecycle"
RETENTION: Final = "retention"


class NewTwin(Strict):
    twin: Text
    profile: Text


class Edge(Strict):
    """An edge from this twin to `target`."""

    name: Text
    target: Text


class Accepted(Strict):
    """The edge `name` from `source` to this twin, which its owner accepts."""

    source: Text
    name: Text


class Kept(Strict):
    """For how many days the past is kept; null: as long as the house keeps it."""

    days: Annotated[int | None, Field(ge=1, le=3650)]


class Life(Strict):
    lifecycle: Literal["active", "suspended", "retired"]


@dataclass(frozen=True, slots=True)
class TwinRoutes:
    """What the routes of twins work with."""

    permits: Permits
    pen: Pen
    arrivals: Arrivals
    requests: Requests
    profiles: Mapping[str, Profile]


def routes(parts: TwinRoutes) -> APIRouter:
    router = APIRouter(prefix="/v1/twins", responses=problems(PLATFORM_NOT_FOUND, CONSENT_STALE, READ_TOKEN_TIMEOUT))
    _reads(router, parts)
    _writes(router, parts)
    _edges(router, parts)
    _retention(router, parts)
    return router


def _reads(router: APIRouter, parts: TwinRoutes) -> None:
    permits, twins = parts.permits, parts.pen.twins

    @router.get("/{twin_id}")
    async def twin(twin_id: str, caller: Caller, response: Response, token: TokenHeader = None) -> dict[str, Any]:
        await parts.arrivals.applied(token)
        view = await read_twin(TwinId(Did(twin_id)), reader_of(caller), permits, twins)
        _say_place(response, view)
        return view_json(view, parts.arrivals.clock.now_us(), parts.profiles)

    @router.get("/{twin_id}/reported/{name:path}")
    async def reported(
        twin_id: str, name: str, caller: Caller, response: Response, token: TokenHeader = None
    ) -> dict[str, Any]:
        await parts.arrivals.applied(token)
        view = await read_twin(TwinId(Did(twin_id)), reader_of(caller), permits, twins)
        if name not in view.cells:
            raise PLATFORM_NOT_FOUND.problem(twin=twin_id, property=name)
        _say_place(response, view)
        found: dict[str, Any] = view_json(view, parts.arrivals.clock.now_us(), parts.profiles)["reported"][name]
        return found

    @router.get("/{twin_id}/desired")
    async def desired(twin_id: str, caller: Caller, response: Response, token: TokenHeader = None) -> dict[str, Any]:
        await parts.arrivals.applied(token)
        view = await read_twin(TwinId(Did(twin_id)), reader_of(caller), permits, twins)
        _say_place(response, view)
        return wishes_json(view, parts.arrivals.clock.now_us())


def _writes(router: APIRouter, parts: TwinRoutes) -> None:
    permits, pen = parts.permits, parts.pen

    @router.post("", status_code=201, responses=problems(TWIN_EXISTS))
    async def create(
        new: NewTwin, caller: Caller, response: Response, key: IdempotencyKey = None, token: TokenHeader = None
    ) -> dict[str, Any]:
        """The registered owner begins its twin, under a profile."""
        await parts.arrivals.facts(token)
        if new.profile not in parts.profiles:
            raise PLATFORM_INVALID_FIELD.problem(pointer="/profile", detail="no such profile and version")
        reader = reader_of(caller)
        command = parts.requests.command(new.twin, reader, Create(reader.actor, new.profile), idempotency=key)
        written = await create_twin(command, reader, permits, pen)
        response.headers["location"] = f"/twin-state/v1/twins/{new.twin}"
        return _answer(response, new.twin, written, placed=201)

    @router.patch(
        "/{twin_id}/desired",
        responses=problems(TWIN_REVISION_CONFLICT, PLATFORM_PRECONDITION_REQUIRED, DESIRED_OUT_OF_BOUNDS),
        openapi_extra={"requestBody": {"required": True, "content": {MERGE_PATCH: {"schema": PATCH_SCHEMA}}}},
    )
    @accepts(floats=True)
    async def patch(
        twin_id: str, caller: Caller, if_match: IfMatchHeader, request: Request, response: Response,
        key: IdempotencyKey = None, token: TokenHeader = None,
    ) -> dict[str, Any]:  # fmt: skip
        """A merge patch of `property: {value, unit, expires_at_us}`; null removes. RFC 7396."""
        require_media(request, MERGE_PATCH)
        said = parse_strict(await request.body(), floats=True)
        check_text(said, "")
        await parts.arrivals.applied(token)
        reader = reader_of(caller)
        state = await pen.twins.state(twin_id)
        body = PatchDesired(patched_entries(said, state.desired))
        expected = if_match.revision
        command = parts.requests.command(twin_id, reader, body, idempotency=key, expected=expected)
        written = await patch_desired(command, reader, permits, pen, parts.profiles)
        return _answer(response, twin_id, written)

    @router.post("/{twin_id}/lifecycle", responses=problems(TWIN_LIFECYCLE_REFUSED))
    async def lifecycle(
        twin_id: str, said: Life, caller: Caller, response: Response, key: IdempotencyKey = None,
        token: TokenHeader = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Erasure is asked of identity, which destroys the keys."""
        body = SetLifecycle(Lifecycle[said.lifecycle.upper()])
        return await _administered(parts, LIFECYCLE, _asked(parts, twin_id, caller, body, key), caller, response, token)


def _retention(router: APIRouter, parts: TwinRoutes) -> None:
    @router.put("/{twin_id}/retention")
    async def retention(
        twin_id: str, said: Kept, caller: Caller, response: Response, key: IdempotencyKey = None,
        token: TokenHeader = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Rows of history that came longer ago go within the next turns of the upkeep; current values stay."""
        body = SetRetention(said.days or 0)
        return await _administered(parts, RETENTION, _asked(parts, twin_id, caller, body, key), caller, response, token)


def _edges(router: APIRouter, parts: TwinRoutes) -> None:
    permits, pen = parts.permits, parts.pen

    @router.get("/{twin_id}/relations")
    async def relations(twin_id: str, caller: Caller, token: TokenHeader = None) -> dict[str, Any]:
        """Edges from this twin, and accepted ones that end in it."""
        await parts.arrivals.durable(token)
        view = await read_twin(TwinId(Did(twin_id)), reader_of(caller), permits, pen.twins)
        incoming = await pen.twins.history.incoming(twin_id)
        return {
            "relations": view_json(view)["relations"],
            "incoming": [{"source": source, "name": name} for source, name in incoming],
        }

    @router.put("/{twin_id}/relations", responses=problems(TWIN_TOO_MANY_RELATIONS))
    async def put_relation(
        twin_id: str, edge: Edge, caller: Caller, response: Response, key: IdempotencyKey = None,
        token: TokenHeader = None,
    ) -> dict[str, Any]:  # fmt: skip
        """It is accepted at once if both twins have one owner."""
        reader = reader_of(caller)
        mine = permits.is_owner(reader, TwinId(Did(edge.target)))
        body = PutRelation(Relation(edge.name, edge.target, mine))
        return await _administered(parts, RELATIONS, _asked(parts, twin_id, caller, body, key), caller, response, token)

    @router.delete("/{twin_id}/relations")
    async def delete_relation(
        twin_id: str, name: str, target: str, caller: Caller, response: Response, key: IdempotencyKey = None,
        token: TokenHeader = None,
    ) -> dict[str, Any]:  # fmt: skip
        body = DeleteRelation(name, target)
        return await _administered(parts, RELATIONS, _asked(parts, twin_id, caller, body, key), caller, response, token)

    @router.post("/{twin_id}/relations/accept")
    async def accept(
        twin_id: str, edge: Accepted, caller: Caller, response: Response, key: IdempotencyKey = None
    ) -> dict[str, Any]:
        """The owner of this twin accepts an edge that ends in it. Raises PLATFORM_NOT_FOUND if there is none."""
        reader = reader_of(caller)
        state = await pen.twins.state(edge.source)
        known = any((each.name, each.target) == (edge.name, twin_id) for each in state.relations)
        if not permits.is_owner(reader, TwinId(Did(twin_id))) or not known:
            raise PLATFORM_NOT_FOUND.problem(twin=twin_id)
        body = PutRelation(Relation(edge.name, twin_id, accepted=True))
        written = await pen.write(parts.requests.command(edge.source, reader, body, idempotency=key))
        return _answer(response, edge.source, written)


def _asked(parts: TwinRoutes, twin: str, caller: Principal, body: Body, key: str | None) -> Command:
    return parts.requests.command(twin, reader_of(caller), body, idempotency=key)


async def _administered(
    parts: TwinRoutes, path: str, command: Command, caller: Principal, response: Response, token: str | None
) -> dict[str, Any]:
    await parts.arrivals.applied(token)
    written = await administer(command, reader_of(caller), parts.permits, parts.pen, path)
    return _answer(response, command.twin, written)


def _say_place(response: Response, view: TwinView) -> None:
    response.headers["etag"] = etag(view.state.revision)
    response.headers["didymos-position"] = f"{part_of(view.twin)}:{view.state.position}"


def _answer(response: Response, twin: str, written: Written, placed: int = 200) -> dict[str, Any]:
    """200 or 201 once applied, 202 while the write is only in the log; the token names its place in both cases."""
    response.headers[TOKEN] = written.token
    if written.state is None:
        response.status_code = 202
        return {"twin": twin, "token": written.token}
    response.status_code = placed
    response.headers["etag"] = etag(written.state.revision)
    return {"twin": twin, "revision": written.state.revision, "token": written.token}
