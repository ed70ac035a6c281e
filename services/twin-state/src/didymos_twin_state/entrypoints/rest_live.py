"""REST of live changes: server-sent events of one twin or many, the same over WebSocket, tickets for browsers."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from didymos_contracts.errors import Problem
from didymos_contracts.errors.identity import AUTH_REPLAYED, CONSENT_STALE
from didymos_contracts.errors.platform import (
    PLATFORM_INVALID_FIELD,
    PLATFORM_NOT_FOUND,
    PLATFORM_UNAUTHENTICATED,
    PLATFORM_UNKNOWN_FIELD,
)
from didymos_contracts.errors.twin import READ_TOKEN_TIMEOUT
from didymos_did import Did, TwinId
from didymos_kit.access import Principal
from didymos_kit.errors import problem_of
from didymos_kit.http.body import check_text
from didymos_kit.http.live import Closing, last_event_id, live
from didymos_kit.http.principal import PUBLIC, Caller, authenticate
from didymos_kit.http.problems import problems
from didymos_kit.http.socket import authenticate_socket, live_socket, refuse_socket
from fastapi import APIRouter, Query, Request, Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from didymos_twin_state.entrypoints.live import LiveTwins
from didymos_twin_state.entrypoints.live_events import ID_CHARACTERS, events, parse_event_id
from didymos_twin_state.entrypoints.shapes import reader_of
from didymos_twin_state.entrypoints.tickets import CHARACTERS, SECONDS, Tickets
from didymos_twin_state.entrypoints.waiting import Arrivals, TokenHeader

MOST_TWINS: Final = 64
STREAM: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/event-stream": {}}}}
SOCKET_QUERY: Final = frozenset({"twins", "coalesce", "after", "ticket"})
After = Annotated[
    str | None, Query(max_length=ID_CHARACTERS, description="As `Last-Event-ID`, for who sets no headers")
]
Coalesce = Annotated[bool, Query(description="A slow reader gets the latest of each property instead of the end")]
TwinList = Annotated[str, Query(min_length=1, max_length=64 * 256, description="DIDs of twins, with commas between")]
Ticket = Annotated[str | None, Query(max_length=CHARACTERS, description="From POST /v1/streams, in place of a token")]


@dataclass(frozen=True, slots=True)
class LiveRoutes:
    """What the routes need."""

    streams: LiveTwins
    tickets: Tickets
    arrivals: Arrivals


def routes(parts: LiveRoutes) -> APIRouter:
    streams, arrivals = parts.streams, parts.arrivals
    router = APIRouter(prefix="/v1", responses=problems(PLATFORM_NOT_FOUND, CONSENT_STALE, READ_TOKEN_TIMEOUT))

    @router.get("/twins/{twin_id}/events", responses=STREAM)
    async def of_one(
        twin_id: str, caller: Caller, request: Request, coalesce: Coalesce = False, after: After = None,  # noqa: FBT002 - a query
        token: TokenHeader = None,
    ) -> Response:  # fmt: skip
        """Events `changed`; `resync` with the state when `Last-Event-ID` is too old; `end` with a reason."""
        await arrivals.applied(token)
        closing, watch = Closing(), await streams.open((TwinId(Did(twin_id)),), reader_of(caller))
        places = parse_event_id(last_event_id(request) or after)
        return live(request, events(streams.changes(watch, closing, places, coalesce=coalesce)), closing, caller)

    @router.get("/events", responses={**STREAM, **problems(AUTH_REPLAYED)}, dependencies=[PUBLIC])
    async def of_many(
        twins: TwinList, request: Request, coalesce: Coalesce = False, after: After = None, ticket: Ticket = None,  # noqa: FBT002 - a query
        token: TokenHeader = None,
    ) -> Response:  # fmt: skip
        """The same of up to 64 twins at once; `gone` when one of them may not be watched any more. Token or ticket."""
        caller = await (authenticate(request) if ticket is None else parts.tickets.redeem(ticket))
        await arrivals.applied(token)
        closing, watch = Closing(), await streams.open(_listed(twins), reader_of(caller))
        places = parse_event_id(last_event_id(request) or after)
        return live(request, events(streams.changes(watch, closing, places, coalesce=coalesce)), closing, caller)

    @router.post("/streams", status_code=201)
    async def ticket(caller: Caller) -> dict[str, Any]:
        """A ticket for one stream, within 30 s: `?ticket=` of `/v1/events` and `/v1/live`."""
        return {"ticket": parts.tickets.issue(caller), "expires_in": SECONDS}

    router.routes.append(WebSocketRoute("/v1/live", _socket(parts)))
    return router


def _socket(parts: LiveRoutes) -> Any:  # noqa: ANN401 - an endpoint of the framework
    async def endpoint(socket: WebSocket) -> None:
        """`/v1/live?twins=&coalesce=&after=&ticket=`: the events of `/v1/events`, as `{id, event, data}`."""
        closing = Closing()
        try:
            caller = await _caller(socket, parts.tickets)
            await parts.arrivals.applied(socket.headers.get("consistency-token"))
            asked = socket.query_params
            watch = await parts.streams.open(_listed(asked.get("twins", "")), reader_of(caller))
            places = parse_event_id(asked.get("after") or socket.headers.get("last-event-id"))
            coalesce = asked.get("coalesce", "false") == "true"
        except Exception as error:
            await refuse_socket(socket, problem_of(error))
            return
        found = events(parts.streams.changes(watch, closing, places, coalesce=coalesce))
        await live_socket(socket, found, closing, caller)

    return endpoint


async def _caller(socket: WebSocket, tickets: Tickets) -> Principal:
    """Raises as `authenticate_socket` and `redeem`, and PLATFORM_UNKNOWN_FIELD, PLATFORM_MALFORMED."""
    check_text(dict(socket.query_params), "query")
    for name in socket.query_params:
        if name not in SOCKET_QUERY or len(socket.query_params.getlist(name)) > 1:
            raise PLATFORM_UNKNOWN_FIELD.problem(pointer=f"?{name[:64]}", detail="not known here, or more than once")
    ticket = socket.query_params.get("ticket")
    if ticket is not None:
        return await tickets.redeem(ticket)
    if "authorization" not in socket.headers:
        raise PLATFORM_UNAUTHENTICATED.problem(detail="a ticket, or Authorization and DPoP, are needed")
    return await authenticate_socket(socket)


def _listed(twins: str) -> tuple[TwinId, ...]:
    """Raises PLATFORM_INVALID_FIELD."""
    found = tuple(dict.fromkeys(TwinId(Did(name)) for name in twins.split(",") if name))
    if not 1 <= len(found) <= MOST_TWINS:
        raise _bad_list()
    return found


def _bad_list() -> Problem:
    return PLATFORM_INVALID_FIELD.problem(pointer="?twins", detail=f"1 to {MOST_TWINS} twins are expected")
