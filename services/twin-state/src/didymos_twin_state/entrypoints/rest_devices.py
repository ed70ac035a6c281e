"""REST for devices: what is desired of them, by long poll or as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Final

from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.twin import READ_TOKEN_TIMEOUT
from didymos_did import Did
from didymos_kit.http.live import Closing, Event, last_event_id, live
from didymos_kit.http.principal import Caller
from didymos_kit.http.problems import problems
from didymos_kit.service import Stopping
from fastapi import APIRouter, Query, Request, Response
from starlette.responses import JSONResponse

from didymos_twin_state.entrypoints.device_orders import DeviceOrders, Told
from didymos_twin_state.entrypoints.waiting import Arrivals, TokenHeader

SSE: Final = "text/event-stream"
ENDED: Final = "enrolment.ended"
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["after", "twins"],
    "properties": {"after": {"type": "string"}, "twins": {"type": "object"}},
}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "All that is desired now: `twins` by DID, each with `desired` and `actions` by name",
        "content": {"application/json": {"schema": _SCHEMA}, SSE: {}},
    },
    204: {"description": "Nothing else than what the device has, for as long as it waited"},
}
After = Annotated[str, Query(max_length=64, description="`after` of the answer before, empty at first")]
Wait = Annotated[int, Query(ge=0, le=60, description="Seconds to wait for something else than what the device has")]


def routes(orders: DeviceOrders, arrivals: Arrivals) -> APIRouter:
    router = APIRouter(prefix="/v1/devices", responses=problems(PLATFORM_NOT_FOUND, READ_TOKEN_TIMEOUT))

    @router.get("/{device}/desired", responses=_ANSWERS)
    async def desired(
        device: str, caller: Caller, request: Request, after: After = "", wait: Wait = 30, token: TokenHeader = None
    ) -> Response:
        """At least once. With `Accept: text/event-stream` events `desired`, and `end` with a reason."""
        if caller.caller != device or caller.actor is not None:
            raise PLATFORM_NOT_FOUND.problem(device=device)
        await arrivals.applied(token)
        did = Did(device)
        orders.allowed(did)
        if SSE in request.headers.get("accept", ""):
            closing = Closing()
            found = _events(orders.changes(did, last_event_id(request) or after), closing)
            return live(request, found, closing, caller)
        told = await _first(orders.changes(did, after), wait, request.app.state.draining)
        return Response(status_code=204) if told is None else JSONResponse(told.said)

    return router


async def _events(found: AsyncIterator[Told | None], closing: Closing) -> AsyncIterator[Event]:
    try:
        async with aclosing(found):  # type: ignore[type-var] # it is a generator
            async for told in found:
                if told is not None:
                    yield told.event()
    except Problem as problem:
        if problem.row is not PLATFORM_NOT_FOUND:
            raise
        closing.close(ENDED)


async def _first(found: AsyncIterator[Told | None], seconds: int, draining: Stopping) -> Told | None:
    """The first that is told within so many seconds; None, too, when the process drains."""
    until = asyncio.get_running_loop().time() + seconds
    async with aclosing(found):  # type: ignore[type-var] # it is a generator
        async for told in found:
            if told is not None or draining or asyncio.get_running_loop().time() >= until:
                return told
    return None
