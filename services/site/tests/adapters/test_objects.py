"""Objects in pieces over real gRPC: broken downloads and uploads go on, and lies about bytes are seen."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import pytest
from didymos.training.v1.training_service_pb2 import Delivered
from didymos.training.v1.training_service_pb2_grpc import RoundsServicer, add_RoundsServicer_to_server
from didymos.training.v1.training_types_pb2 import Piece
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND, PLATFORM_UNAVAILABLE
from didymos_contracts.errors.training import TRAINING_PIECE_MISPLACED
from didymos_did import Did
from didymos_kit.lifecycle import AT_ONCE, Listen, Program, running
from didymos_kit.rpc import Peer, Target
from didymos_kit.service import Service
from didymos_kit.telemetry.metrics import Metrics
from didymos_site.adapters.objects import PIECE_BYTES, PeerObjects
from didymos_site.application.ports import Away
from didymos_testing.clock import FixedClock, seeded_ids
from didymos_testing.kit import Issuer
from typing_extensions import override

BIG = os.urandom(PIECE_BYTES * 2 + 1000)
NAME = sha256(BIG).digest()
PREFIX = "/didymos.training.v1.Rounds/"


class Rounds(RoundsServicer):
    """A coordinator that breaks off `breaks` times, and does to pieces what `spoil` says."""

    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {NAME: BIG}
        self.taken = bytearray()
        self.breaks = 0
        self.calls = 0
        self.away = False
        self.spoil: Callable[[Piece], Piece] = lambda piece: piece

    def _broken(self) -> bool:
        self.breaks -= 1
        return self.breaks >= 0

    @override
    async def Fetch(self, request: Any, context: Any) -> Any:
        self.calls += 1
        if self.away:
            raise PLATFORM_UNAVAILABLE.problem()
        data = self.held.get(request.object)
        if data is None:
            raise PLATFORM_NOT_FOUND.problem()
        for at in range(request.offset, len(data), PIECE_BYTES):
            if at and self._broken():
                raise PLATFORM_UNAVAILABLE.problem()
            part = data[at : at + PIECE_BYTES]
            yield self.spoil(Piece(object=request.object, offset=at, data=part, size=len(data)))

    @override
    async def Deliver(self, request_iterator: Any, context: Any) -> Any:
        self.calls += 1
        if self.away:
            raise PLATFORM_UNAVAILABLE.problem()
        async for piece in request_iterator:
            if not piece.data:
                break
            if piece.offset != len(self.taken):
                raise TRAINING_PIECE_MISPLACED.problem(next_offset=len(self.taken), size=piece.size)
            self.taken += piece.data
            if self._broken():
                raise PLATFORM_UNAVAILABLE.problem()
        return Delivered(object=NAME, next_offset=len(self.taken), complete=len(self.taken) == len(BIG))

    @override
    async def Attend(self, request_iterator: Any, context: Any) -> Any:
        yield


@asynccontextmanager
async def dialled(rounds: Rounds) -> AsyncIterator[PeerObjects]:
    issuer = Issuer()
    service = Service(
        "training-orchestration", servicers=(lambda server: add_RoundsServicer_to_server(rounds, server),),
        public_rpcs=frozenset({PREFIX + "Fetch", PREFIX + "Deliver", PREFIX + "Attend"}),
    )  # fmt: skip
    async with running(
        Program((service,), issuer.access, Metrics()), Listen(rest=0, grpc=0, admin=0), AT_ONCE
    ) as process:
        target = Target(f"127.0.0.1:{process.grpc_port}", issuer.origin, "training-orchestration")
        async with Peer(target, FixedClock(), seeded_ids()) as peer:
            yield PeerObjects(peer, Did("did:key:zSite"))


async def test_a_download_goes_on_where_it_broke_and_is_asked_for_once() -> None:
    rounds = Rounds()
    rounds.breaks = 1
    async with dialled(rounds) as objects:
        assert await objects.fetch(NAME) == BIG
        assert rounds.calls == 2
        assert await objects.fetch(NAME) == BIG
        assert rounds.calls == 2


async def test_an_upload_goes_on_where_it_broke() -> None:
    rounds = Rounds()
    rounds.breaks = 2
    async with dialled(rounds) as objects:
        await objects.deliver(BIG)
    assert bytes(rounds.taken) == BIG


async def test_a_coordinator_that_stays_away_is_told_apart_from_a_refusal() -> None:
    rounds = Rounds()
    async with dialled(rounds) as objects:
        rounds.away = True
        with pytest.raises(Away):
            await objects.fetch(NAME)
        with pytest.raises(Away):
            await objects.deliver(BIG)
        rounds.away = False
        with pytest.raises(Problem, match=r"platform\.not_found"):
            await objects.fetch(b"x" * 32)


def flipped(piece: Piece) -> Piece:
    piece.data = b"\0" + piece.data[1:]
    return piece


def moved(piece: Piece) -> Piece:
    piece.offset += 1
    return piece


def huge(piece: Piece) -> Piece:
    piece.size = 1 << 40
    return piece


def short(piece: Piece) -> Piece:
    piece.size += 1
    return piece


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (flipped, "training.digest_mismatched"),
        (moved, "training.piece_misplaced"),
        (huge, "training.object_too_large"),
        (short, "training.piece_misplaced"),
    ],
)
async def test_bytes_that_are_not_what_they_are_called_are_refused(spoil: Any, code: str) -> None:
    rounds = Rounds()
    rounds.spoil = spoil
    async with dialled(rounds) as objects:
        with pytest.raises(Problem) as raised:
            await objects.fetch(NAME)
    assert raised.value.row.code == code
