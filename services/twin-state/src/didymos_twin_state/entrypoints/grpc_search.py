"""gRPC of many twins: in bulk, by search, along relations."""

from dataclasses import dataclass
from typing import Final, cast

import grpc
from didymos.twin.v1 import twin_service_pb2 as messages
from didymos.twin.v1 import twin_types_pb2 as types
from didymos.twin.v1.twin_service_pb2_grpc import TwinSearchServicer, add_TwinSearchServicer_to_server
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_did import Did, TwinId

from didymos_twin_state.application.permits import Permits
from didymos_twin_state.application.read_twin import Twins
from didymos_twin_state.application.search_ports import Found, TwinSearch, Wanted
from didymos_twin_state.application.search_twins import Area, Search, read_twins, search_twins
from didymos_twin_state.application.traverse_relations import DEPTH, Direction, Walk, traverse_relations
from didymos_twin_state.domain.geo import Place, distance_m
from didymos_twin_state.entrypoints.grpc import Context, reader, twin_message
from didymos_twin_state.entrypoints.questions import bbox_of, checked, near_of
from didymos_twin_state.entrypoints.waiting import Arrivals

MOST_TWINS: Final = 1_000
MOST_FOUND: Final = 200
CHARACTERS: Final = 256
DIRECTIONS: Final = ("out", "in", "both")


@dataclass(frozen=True, slots=True)
class TwinSearchRpc(TwinSearchServicer):
    permits: Permits
    twins: Twins
    store: TwinSearch
    arrivals: Arrivals

    def register(self, server: grpc.aio.Server) -> None:
        add_TwinSearchServicer_to_server(self, server)

    async def BatchGet(self, request: messages.BatchGetRequest, _context: Context) -> messages.BatchGetResponse:  # noqa: N802
        who = reader(request.purpose)
        if not 0 < len(request.twins) <= MOST_TWINS:
            raise PLATFORM_INVALID_FIELD.problem(pointer="/twins", detail=f"1 to {MOST_TWINS} twins")
        await self.arrivals.applied(request.consistency_token or None)
        wanted = [TwinId(Did(name)) for name in request.twins]
        views = await read_twins(wanted, who, self.permits, self.twins)
        return messages.BatchGetResponse(twins=[twin_message(view) for view in views])

    async def Search(self, request: messages.SearchRequest, _context: Context) -> messages.SearchResponse:  # noqa: N802
        """`limit` 0 is the largest page."""
        who, area = reader(request.purpose), _area(request)
        filters = checked([
            (each.property, each.op, each.number if each.HasField("number") else each.text) for each in request.filters
        ])  # fmt: skip
        if "\x00" in request.type + request.after:
            raise PLATFORM_INVALID_FIELD.problem(pointer="/type", detail="names are expected")
        await self.arrivals.durable(request.consistency_token or None)
        wanted = Wanted(who.actor if request.mine else "", request.type, filters)
        limit = min(request.limit or MOST_FOUND, MOST_FOUND)
        page = await search_twins(
            Search(wanted, area), request.after, limit, who, self.permits, self.twins, self.store
        )  # fmt: skip
        centre = None if area is None else area.centre
        return messages.SearchResponse(twins=[_found(row, centre) for row in page.found], next=page.after or "")

    async def Traverse(self, request: messages.TraverseRequest, _context: Context) -> messages.TraverseResponse:  # noqa: N802
        who, direction = reader(request.purpose), request.direction or "out"
        if not 1 <= request.depth <= DEPTH or direction not in DIRECTIONS:
            raise PLATFORM_INVALID_FIELD.problem(pointer="/depth", detail=f"1 to {DEPTH} hops, out, in or both")
        await self.arrivals.durable(request.consistency_token or None)
        walk = Walk(
            TwinId(Did(request.start)), request.depth, cast("Direction", direction), frozenset(request.names)
        )  # fmt: skip
        found = await traverse_relations(walk, who, self.permits, self.twins, self.store)
        return messages.TraverseResponse(
            nodes=[messages.ReachedTwin(twin=twin, depth=depth) for twin, depth in found.nodes.items()],
            edges=[
                messages.ReachedEdge(source=e.source, name=e.name, target=e.target, accepted=e.accepted)
                for e in found.edges
            ],
        )


def _area(request: messages.SearchRequest) -> Area | None:
    """Raises PLATFORM_INVALID_FIELD."""
    if request.HasField("near"):
        return near_of(request.near.longitude, request.near.latitude, request.near.metres)
    if request.HasField("bbox"):
        return bbox_of(request.bbox.west, request.bbox.south, request.bbox.east, request.bbox.north)
    return None


def _found(row: Found, centre: Place | None) -> messages.FoundTwin:
    return messages.FoundTwin(
        twin=row.twin, profile=row.profile, lifecycle=types.Lifecycle.ValueType(row.lifecycle), revision=row.revision,
        distance_m=0.0 if centre is None or row.place is None else distance_m(centre, row.place),
    )  # fmt: skip
