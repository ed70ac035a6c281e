"""gRPC: `Rounds`, which sites dial, and `Runs`. learning.md section 6."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Protocol

import grpc
from didymos.training.v1 import training_service_pb2 as messages
from didymos.training.v1 import training_types_pb2 as pb
from didymos.training.v1.training_service_pb2_grpc import (
    RoundsServicer,
    RunsServicer,
    add_RoundsServicer_to_server,
    add_RunsServicer_to_server,
)
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.training import (
    TRAINING_PIECE_MISPLACED,
    TRAINING_SIGNAL_INVALID,
    TRAINING_SITE_NOT_ENROLLED,
)
from didymos_did import Did
from didymos_kit.clock import Clock
from didymos_kit.dispatch import Dispatcher
from didymos_kit.ids import Ids
from didymos_kit.rpc import caller
from didymos_learning import RunSpec
from typing_extensions import override

from didymos_training_orchestration.adapters.protobuf import run_state
from didymos_training_orchestration.adapters.signals import Heartbeat, Hello, Signal, check_enrolled, parse_signal
from didymos_training_orchestration.application.create_run import CreateRun, create_run
from didymos_training_orchestration.application.ports import Agreements, Objects, Work
from didymos_training_orchestration.application.read_runs import read_run
from didymos_training_orchestration.domain.run import RunId

PIECE_BYTES: Final = 256 * 1024
HELLO_SECONDS: Final = 10.0


class Session(Protocol):
    async def next(self) -> bytes | None: ...


class Attending(Protocol):
    """Where sites are known by. `adapters.attendance` fills it."""

    def attend(self, site: Did, hello: Hello) -> Any: ...  # noqa: ANN401 - a Session, given back to `leave`

    def leave(self, session: Any) -> None: ...  # noqa: ANN401 - what `attend` gave

    def heard(self, signal: Signal) -> bool: ...

    def knows(self, site: Did) -> bool: ...


class Uploading(Protocol):
    """Where pieces go. `adapters.objects` fills it."""

    async def offset(self, sender: str, digest: bytes) -> tuple[int, bool]: ...

    async def take(self, sender: str, piece: Any) -> tuple[int, bool]: ...  # noqa: ANN401 - a PieceOf


class RoundsRpc(RoundsServicer):
    """`services`: DIDs of this house that may fetch objects, such as the one that serves forecasts."""

    def __init__(
        self, attendance: Attending, uploads: Uploading, objects: Objects, piece: Callable[..., Any],
        organisations: tuple[Did, ...], services: frozenset[Did], clock: Clock,
    ) -> None:  # fmt: skip
        self._attendance, self._uploads, self._objects, self._piece = attendance, uploads, objects, piece
        self._organisations, self._services, self._clock = organisations, services, clock

    def register(self, server: grpc.aio.Server) -> None:
        add_RoundsServicer_to_server(self, server)

    @override
    async def Attend(self, request_iterator: AsyncIterator[pb.SiteSignal], context: object) -> AsyncIterator[pb.Order]:
        """A hello first; then what the site says goes to its rounds, and orders come as they are made."""
        site = caller().caller
        hello = await self._hello(site, request_iterator)
        session = self._attendance.attend(site, hello)
        reading = asyncio.create_task(self._read(site, request_iterator), name=f"signals of {site}")
        order = asyncio.create_task(session.next())
        try:
            while True:
                await asyncio.wait((order, reading), return_when=asyncio.FIRST_COMPLETED)
                if not order.done():
                    await reading  # raises what was wrong with the last signal; else the site closed its side
                    return
                told = order.result()
                if told is None:
                    return
                yield pb.Order.FromString(told)
                order = asyncio.create_task(session.next())
        finally:
            order.cancel()
            reading.cancel()
            self._attendance.leave(session)

    async def _hello(self, site: Did, signals: AsyncIterator[pb.SiteSignal]) -> Hello:
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                first = await anext(signals, None)
        except TimeoutError:
            first = None
        if first is None:
            raise TRAINING_SIGNAL_INVALID.problem(detail="a hello is expected first")
        said = parse_signal(first.SerializeToString(), site).said
        if not isinstance(said, Hello):
            raise TRAINING_SIGNAL_INVALID.problem(detail="a hello is expected first")
        check_enrolled(site, said.enrolment, self._organisations, self._clock.now())
        return said

    async def _read(self, site: Did, signals: AsyncIterator[pb.SiteSignal]) -> None:
        async for raw in signals:
            signal = parse_signal(raw.SerializeToString(), site)
            if not isinstance(signal.said, Hello | Heartbeat):
                self._attendance.heard(signal)

    @override
    async def Fetch(self, request: messages.FetchRequest, context: object) -> AsyncIterator[pb.Piece]:
        """An object by its digest, from an offset on: for sites that attend, and services of this house."""
        who = caller().caller
        if who not in self._services and not self._attendance.knows(who):
            raise TRAINING_SITE_NOT_ENROLLED.problem(detail="attend first")
        data = await self._objects.get(request.object)
        if data is None:
            raise PLATFORM_NOT_FOUND.problem(object=request.object.hex())
        if request.offset > len(data):
            raise TRAINING_PIECE_MISPLACED.problem(next_offset=len(data))
        for at in range(request.offset, max(len(data), request.offset + 1), PIECE_BYTES):
            yield pb.Piece(object=request.object, offset=at, data=data[at : at + PIECE_BYTES], size=len(data))

    @override
    async def Deliver(self, request_iterator: AsyncIterator[pb.Piece], context: object) -> messages.Delivered:
        """Pieces of one object, in order. An empty piece asks how much is there.

        A refusal waits until the caller has said all of it: one that comes earlier can get lost on the way.
        """
        site = caller().caller
        try:
            if not self._attendance.knows(site):
                raise TRAINING_SITE_NOT_ENROLLED.problem(detail="attend first")
            return await self._delivered(site, request_iterator)
        except Problem:
            async for _ in request_iterator:
                pass
            raise

    async def _delivered(self, site: Did, pieces: AsyncIterator[pb.Piece]) -> messages.Delivered:
        digest, reached, complete = b"", 0, False
        async for piece in pieces:
            if digest and piece.object != digest:
                raise TRAINING_PIECE_MISPLACED.problem(detail="one object a call")
            digest = piece.object
            if piece.data:
                took = self._piece(piece.object, piece.offset, piece.data, piece.size)
                reached, complete = await self._uploads.take(site, took)
            else:
                reached, complete = await self._uploads.offset(site, digest)
        return messages.Delivered(object=digest, next_offset=reached, complete=complete)


class RunsRpc(RunsServicer):
    """Makes and shows runs, as REST does."""

    def __init__(self, dispatch: Dispatcher[Work], agreements: Agreements, clock: Clock, ids: Ids) -> None:
        self._dispatch, self._agreements, self._clock, self._ids = dispatch, agreements, clock, ids

    def register(self, server: grpc.aio.Server) -> None:
        add_RunsServicer_to_server(self, server)

    @override
    async def CreateRun(self, request: messages.CreateRunRequest, context: object) -> messages.CreateRunResponse:
        wanted = CreateRun(caller().did, RunSpec.from_json(request.spec))
        terms = await self._agreements.final(request.agreement)
        done = await self._dispatch(lambda work: create_run(wanted, terms, work, self._clock, self._ids))
        return messages.CreateRunResponse(run=done.value.id, state=run_state(done.value))

    @override
    async def GetRun(self, request: messages.GetRunRequest, context: object) -> messages.GetRunResponse:
        party = caller().did
        run = (await self._dispatch(lambda work: read_run(RunId(request.run), party, work))).value
        return messages.GetRunResponse(
            run=run.id, state=run_state(run), reason=run.reason, round=run.round, rounds=run.spec.rounds,
            params_digest=run.params,
        )  # fmt: skip
