"""gRPC of twins, with the same use cases as REST."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import Any, TypeAlias
from uuid import UUID

import grpc
from didymos.twin.v1 import twin_service_pb2 as messages
from didymos.twin.v1 import twin_types_pb2 as types
from didymos.twin.v1.twin_service_pb2_grpc import (
    TwinStateServicer,
    add_TwinStateServicer_to_server,
)
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_NOT_FOUND, PLATFORM_UNAVAILABLE
from didymos_did import Did, DidError, TwinId, parse_purpose
from didymos_kit.http.live import Closing
from didymos_kit.rpc.interceptors import caller
from didymos_readings import Profile
from didymos_readings.profile import NAME

from didymos_twin_state.adapters.protobuf import (
    desired_message,
    model_message,
    relation_message,
    reported_message,
    value_of,
)
from didymos_twin_state.application.permits import Permits, Reader
from didymos_twin_state.application.read_twin import TwinView, read_twin
from didymos_twin_state.application.write_twin import Pen, patch_desired
from didymos_twin_state.domain.command import PatchDesired
from didymos_twin_state.entrypoints.commands import Requests
from didymos_twin_state.entrypoints.live import LiveTwins, Seen, Visible
from didymos_twin_state.entrypoints.live_events import parse_event_id
from didymos_twin_state.entrypoints.live_forecasts import Beside
from didymos_twin_state.entrypoints.shapes import reader_of
from didymos_twin_state.entrypoints.waiting import Arrivals

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


def reader(purpose: str) -> Reader:
    """Who calls, for the purpose of its token; one that the request names must be the same.

    Raises PLATFORM_INVALID_FIELD.
    """
    found = reader_of(caller())
    if not purpose:
        return found
    try:
        asked = parse_purpose(purpose)
    except DidError as error:
        raise PLATFORM_INVALID_FIELD.problem(pointer="/purpose", detail=error.detail) from error
    if found.purpose is not None and found.purpose != asked:
        raise PLATFORM_INVALID_FIELD.problem(pointer="/purpose", detail="the token is for another purpose")
    return Reader(found.actor, found.principal, asked)


def twin_message(view: TwinView) -> messages.GetTwinResponse:
    state = view.state
    return messages.GetTwinResponse(
        twin=view.twin, owner=state.owner, lifecycle=types.Lifecycle.ValueType(state.lifecycle),
        revision=state.revision, position=state.position,
        reported=[reported_message(name, cell) for name, cell in sorted(view.cells.items())],
        desired=[desired_message(name, wish) for name, wish in sorted(view.desired.items())],
        relations=[relation_message(each) for each in view.relations],
        models=[model_message(each) for _, each in sorted(view.models.items())],
    )  # fmt: skip


class TwinStateRpc(TwinStateServicer):
    """`live` is None in a process that streams nothing."""

    def __init__(
        self, permits: Permits, pen: Pen, arrivals: Arrivals, requests: Requests, live: LiveTwins | None,
        profiles: Mapping[str, Profile],
    ) -> None:  # fmt: skip
        self._permits, self._pen, self._arrivals, self._requests = permits, pen, arrivals, requests
        self._live, self._profiles = live, profiles

    def register(self, server: grpc.aio.Server) -> None:
        add_TwinStateServicer_to_server(self, server)

    async def GetTwin(self, request: messages.GetTwinRequest, _context: Context) -> messages.GetTwinResponse:  # noqa: N802
        who = reader(request.purpose)
        await self._arrivals.applied(request.consistency_token or None)
        view = await read_twin(TwinId(Did(request.twin)), who, self._permits, self._pen.twins)
        return twin_message(view)

    async def PatchDesired(  # noqa: N802
        self, request: messages.PatchDesiredRequest, _context: Context
    ) -> messages.PatchDesiredResponse:
        who = reader(request.purpose)
        if len(request.command_id) not in (0, 16):
            raise PLATFORM_INVALID_FIELD.problem(pointer="/command_id", detail="16 bytes are expected")
        if not request.entries or not all(NAME.fullmatch(entry.property) for entry in request.entries):
            raise PLATFORM_INVALID_FIELD.problem(pointer="/entries", detail="names of properties are expected")
        body = PatchDesired({e.property: (value_of(e.value), e.unit, e.expires_at_us) for e in request.entries})
        expected = request.expected_revision if request.conditional else None
        command = self._requests.command(
            request.twin, who, body, expected=expected, command_id=_command_id(request.command_id)
        )
        written = await patch_desired(command, who, self._permits, self._pen, self._profiles)
        if written.state is None:
            raise PLATFORM_UNAVAILABLE.problem(dependency="worker", detail="not applied yet; ask again under this id")
        return messages.PatchDesiredResponse(revision=written.state.revision, consistency_token=written.token)

    async def Watch(self, request: messages.WatchRequest, _context: Context) -> AsyncIterator[messages.WatchResponse]:  # noqa: N802
        """Ends with `platform.not_found` once nothing may be watched any more."""
        who, twin, closing = reader(request.purpose), TwinId(Did(request.twin)), Closing()
        if self._live is None:
            raise PLATFORM_UNAVAILABLE.problem(dependency="live", detail="this process streams nothing")
        watch = await self._live.open((twin,), who)
        found = self._live.changes(watch, closing, parse_event_id(request.after))
        async with aclosing(found):  # type: ignore[type-var] # it is a generator
            async for seen in _until(found, closing):
                if not isinstance(seen, Beside):  # forecasts are on the streams of REST
                    yield _watched(seen)
        raise PLATFORM_NOT_FOUND.problem(twin=twin, detail=closing.reason)


def _command_id(said: bytes) -> bytes:
    """The caller's id as it is; a UUID is read from it when it is written to the log."""
    return UUID(bytes=said).bytes if said else b""


async def _until(found: AsyncIterator[Seen], closing: Closing) -> AsyncIterator[Seen]:
    """What `found` gives until `closing`: closed wins."""
    ended = asyncio.create_task(closing.wait())
    upcoming: asyncio.Task[Seen] | None = None
    try:
        while True:
            upcoming = asyncio.create_task(_next(found))
            await asyncio.wait((upcoming, ended), return_when=asyncio.FIRST_COMPLETED)
            if closing or not upcoming.done():
                return
            try:
                seen = upcoming.result()
            except _EndedError:
                return
            yield seen
    finally:
        for task in (ended, upcoming):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, _EndedError):
                    await task


class _EndedError(Exception):
    """The source ended: a task may not end with StopAsyncIteration."""


async def _next(found: AsyncIterator[Seen]) -> Seen:
    try:
        return await anext(found)
    except StopAsyncIteration:
        raise _EndedError from None


def _watched(seen: Seen) -> messages.WatchResponse:
    """One without a revision says: read the twin afresh."""
    if not isinstance(seen, Visible):
        return messages.WatchResponse()
    return messages.WatchResponse(
        id=seen.id, revision=seen.said.revision, reported=seen.body.reported, desired=seen.body.desired
    )
