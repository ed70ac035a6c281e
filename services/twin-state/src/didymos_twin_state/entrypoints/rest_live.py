"""REST of live changes: server-sent events of one twin."""

from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.twin import READ_TOKEN_TIMEOUT
from didymos_did import Did, TwinId
from didymos_kit.http.live import Closing, last_event_id, live
from didymos_kit.http.principal import Caller
from didymos_kit.http.problems import problems
from fastapi import APIRouter, Request, Response

from didymos_twin_state.entrypoints.live import LiveTwins, parse_event_id
from didymos_twin_state.entrypoints.shapes import reader_of
from didymos_twin_state.entrypoints.waiting import Arrivals, TokenHeader


def routes(streams: LiveTwins, arrivals: Arrivals) -> APIRouter:
    router = APIRouter(prefix="/v1/twins", responses=problems(PLATFORM_NOT_FOUND, CONSENT_STALE, READ_TOKEN_TIMEOUT))

    @router.get("/{twin_id}/events", responses={200: {"content": {"text/event-stream": {}}}})
    async def events(twin_id: str, caller: Caller, request: Request, token: TokenHeader = None) -> Response:
        """Events `changed`; `resync` with the state when `Last-Event-ID` is too old; `end` with a reason."""
        await arrivals.applied(token)
        reader, closing, twin = reader_of(caller), Closing(), TwinId(Did(twin_id))
        names = await streams.open(twin, reader)
        after = parse_event_id(last_event_id(request))
        return live(request, streams.events(twin, reader, names, closing, after), closing, caller)

    return router
