"""REST of many twins: lists, search by type, value and place, reading in bulk, walks along relations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_NOT_FOUND
from didymos_contracts.errors.twin import QUERY_TOO_WIDE, READ_TOKEN_TIMEOUT
from didymos_did import Did, TwinId
from didymos_kit.http.body import Strict
from didymos_kit.http.paging import LIMIT, CursorQuery, Cursors, Limit
from didymos_kit.http.principal import Caller
from didymos_kit.http.problems import problems
from didymos_readings import Profile
from fastapi import APIRouter, Query
from pydantic import Field

from didymos_twin_state.application.permits import Permits
from didymos_twin_state.application.read_twin import Twins
from didymos_twin_state.application.search_ports import Found, TwinSearch, Wanted
from didymos_twin_state.application.search_twins import Search, read_twins, search_twins
from didymos_twin_state.application.traverse_relations import DEPTH, Walk, traverse_relations
from didymos_twin_state.domain.geo import Place, distance_m
from didymos_twin_state.domain.twin import Lifecycle
from didymos_twin_state.entrypoints.questions import area_of, filters_of
from didymos_twin_state.entrypoints.shapes import reader_of, view_json
from didymos_twin_state.entrypoints.waiting import Arrivals, TokenHeader

MOST_TWINS: Final = 1_000
Text = Annotated[str, Field(min_length=1, max_length=256)]
Filters = Annotated[
    str,
    Query(
        alias="filter", max_length=2048,
        description="property:op:value of searchable properties, joined by semicolons; eq ne lt le gt ge",
    ),
]  # fmt: skip
Near = Annotated[str | None, Query(max_length=128, description="lon,lat,metres")]
Bbox = Annotated[str | None, Query(max_length=128, description="west,south,east,north; west > east crosses 180")]
Kind = Annotated[
    str, Query(alias="type", pattern=r"^[a-z0-9._-]{0,63}$", description="name of a profile, without its version")
]


class Names(Strict):
    """Twins to read, at most a thousand."""

    twins: Annotated[list[Text], Field(min_length=1, max_length=MOST_TWINS)]


class Hops(Strict):
    """From `start` along relations of these `names` (none: all), `depth` hops at most."""

    start: Text
    depth: Annotated[int, Field(ge=1, le=DEPTH)] = 1
    direction: Literal["out", "in", "both"] = "out"
    names: Annotated[list[Text], Field(max_length=64, default_factory=list)]


@dataclass(frozen=True, slots=True)
class SearchRoutes:
    """What the routes of many twins work with."""

    permits: Permits
    twins: Twins
    store: TwinSearch
    arrivals: Arrivals
    cursors: Cursors
    profiles: Mapping[str, Profile]


def routes(parts: SearchRoutes) -> APIRouter:
    answers = problems(PLATFORM_NOT_FOUND, CONSENT_STALE, READ_TOKEN_TIMEOUT, PLATFORM_INVALID_FIELD)
    router = APIRouter(prefix="/v1", responses=answers)
    _search(router, parts)
    _bulk(router, parts)
    return router


def _search(router: APIRouter, parts: SearchRoutes) -> None:
    @router.get("/twins")
    async def twins(  # noqa: PLR0913, PLR0917 - the query, by name
        caller: Caller, kind: Kind = "", filters: Filters = "",
        near: Near = None, bbox: Bbox = None, scope: Literal["mine", "visible"] | None = None, limit: Limit = LIMIT,
        cursor: CursorQuery = None, token: TokenHeader = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Twins by id, page by page, without totals; a page may be short while there is a next one.

        Without a question those that the caller owns, else all that it may see: by type, by values, within a box or
        within metres of a place. A twin is shown to who may read each property that the question is about.
        """
        area = area_of(near, bbox)
        mine = scope == "mine" or (scope is None and not kind and not filters and area is None)
        await parts.arrivals.durable(token)
        reader = reader_of(caller)
        asked = {
            "caller": reader.actor, "type": kind, "filter": filters, "near": near or "", "bbox": bbox or "",
            "mine": mine,
        }  # fmt: skip
        place = parts.cursors.read(cursor, asked)
        wanted = Wanted(reader.actor if mine else "", kind, filters_of(filters))
        page = await search_twins(
            Search(wanted, area), "" if place is None else str(place[0]), limit, reader, parts.permits, parts.twins,
            parts.store,
        )  # fmt: skip
        centre = None if area is None else area.centre
        return {
            "twins": [_found_json(row, centre, shown=area is not None) for row in page.found],
            "next": None if page.after is None else parts.cursors.write((page.after,), asked),
        }


def _bulk(router: APIRouter, parts: SearchRoutes) -> None:
    @router.post("/twins:batch-get")
    async def batch_get(names: Names, caller: Caller, token: TokenHeader = None) -> dict[str, Any]:
        """Current states, in the order asked for; twins that may not be seen, or are not there, are left out."""
        await parts.arrivals.applied(token)
        wanted = [TwinId(Did(name)) for name in names.twins]
        views = await read_twins(wanted, reader_of(caller), parts.permits, parts.twins)
        now_us = parts.arrivals.clock.now_us()
        return {"twins": [view_json(view, now_us, parts.profiles) for view in views]}

    @router.post("/relations:traverse", responses=problems(QUERY_TOO_WIDE))
    async def traverse(hops: Hops, caller: Caller, token: TokenHeader = None) -> dict[str, Any]:
        """Twins within `depth` hops, and the edges between them; consent is asked at each hop.

        What may not be seen is not there. Backwards only accepted relations lead.
        """
        await parts.arrivals.durable(token)
        walk = Walk(TwinId(Did(hops.start)), hops.depth, hops.direction, frozenset(hops.names))
        found = await traverse_relations(walk, reader_of(caller), parts.permits, parts.twins, parts.store)
        return {
            "nodes": [{"twin": twin, "depth": depth} for twin, depth in found.nodes.items()],
            "edges": [
                {"source": e.source, "name": e.name, "target": e.target, "accepted": e.accepted} for e in found.edges
            ],
        }


def _found_json(row: Found, centre: Place | None, *, shown: bool) -> dict[str, Any]:
    """A place is told only where the question was about it: then it may be read."""
    said: dict[str, Any] = {
        "twin": row.twin, "profile": row.profile, "lifecycle": Lifecycle(row.lifecycle).name.lower(),
        "revision": row.revision,
    }  # fmt: skip
    if shown and row.place is not None:
        said["place"] = [row.place.lon, row.place.lat]
    if centre is not None and row.place is not None:
        said["distance_m"] = distance_m(centre, row.place)
    return said
