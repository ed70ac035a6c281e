"""Objects at the coordinator, in pieces of 256 KiB: named by SHA-256, checked on the way, taken up where they broke."""

from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing
from hashlib import sha256
from typing import Final

from didymos.training.v1 import training_types_pb2 as types
from didymos.training.v1.training_service_pb2 import FetchRequest
from didymos.training.v1.training_service_pb2_grpc import RoundsStub
from didymos_contracts.errors import Problem
from didymos_contracts.errors.training import (
    TRAINING_DIGEST_MISMATCHED,
    TRAINING_OBJECT_TOO_LARGE,
    TRAINING_PIECE_MISPLACED,
)
from didymos_did import Did
from didymos_kit.rpc import Peer

from didymos_site.application.ports import Away
from didymos_site.domain.order import Digest

PIECE_BYTES: Final = 256 * 1024
LARGEST_BYTES: Final = 1 << 28
TRIES: Final = 5
SECONDS: Final = 120.0
KEPT: Final = 6  # objects that are asked for again within a round: specification, parameters, gradient
_AWAY: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
_BROKEN: Final = _AWAY | {"INTERNAL"}


class PeerObjects:
    """Fills `Objects` over `Rounds.Fetch` and `Rounds.Deliver`."""

    def __init__(self, peer: Peer, site: Did) -> None:
        self._rounds, self._site = RoundsStub(peer.channel), site
        self._kept: OrderedDict[Digest, bytes] = OrderedDict()

    async def fetch(self, digest: Digest) -> bytes:
        if digest in self._kept:
            self._kept.move_to_end(digest)
            return self._kept[digest]
        data = bytearray()
        for tries in range(1, TRIES + 1):
            try:
                await self._read(digest, data)
                break
            except Problem as problem:
                if problem.row.grpc not in _AWAY:
                    raise
                if tries == TRIES:
                    raise Away(str(problem)) from problem
        found = bytes(data)
        if sha256(found).digest() != digest:
            raise TRAINING_DIGEST_MISMATCHED.problem(object=digest.hex())
        self._kept[digest] = found
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    async def _read(self, digest: Digest, data: bytearray) -> None:
        """Appends what is missing. A piece in another place, or beyond the size, is refused."""
        request = FetchRequest(object=digest, offset=len(data), site=self._site)
        async with aclosing(self._rounds.Fetch(request, timeout=SECONDS)) as pieces:  # type: ignore[type-var]
            size = await _gathered(pieces, digest, data)
        if size not in (-1, len(data)):
            raise TRAINING_PIECE_MISPLACED.problem(next_offset=len(data), size=size)

    async def deliver(self, data: bytes) -> None:
        """Each try asks first how much is there. A call that ends while it sends may show as INTERNAL: try again."""
        digest = sha256(data).digest()
        for tries in range(1, TRIES + 1):
            try:
                there = await self._rounds.Deliver(_asked(digest, len(data)), timeout=SECONDS)
                if not there.complete:
                    pieces = _pieces(digest, data, min(there.next_offset, len(data)))
                    there = await self._rounds.Deliver(pieces, timeout=SECONDS)
                if there.complete:
                    return
            except Problem as problem:
                if problem.row is not TRAINING_PIECE_MISPLACED and problem.row.grpc not in _BROKEN:
                    raise
                if tries == TRIES:
                    raise Away(str(problem)) from problem
        raise Away("the object does not get there")


async def _gathered(pieces: AsyncIterable[types.Piece], digest: Digest, data: bytearray) -> int:
    """Appends the pieces; the size that they tell, -1 when there were none."""
    size = -1
    async for piece in pieces:
        if piece.size > LARGEST_BYTES or len(piece.data) > PIECE_BYTES:
            raise TRAINING_OBJECT_TOO_LARGE.problem(limit=LARGEST_BYTES, piece=PIECE_BYTES)
        if piece.object != digest or piece.offset != len(data) or len(data) + len(piece.data) > piece.size:
            raise TRAINING_PIECE_MISPLACED.problem(next_offset=len(data), size=piece.size)
        data += piece.data
        size = piece.size
    return size


async def _asked(digest: Digest, size: int) -> AsyncIterator[types.Piece]:
    """An empty piece asks how much is there."""
    yield types.Piece(object=digest, size=size)


async def _pieces(digest: Digest, data: bytes, offset: int) -> AsyncIterator[types.Piece]:
    for begin in range(offset, len(data), PIECE_BYTES):
        part = data[begin : begin + PIECE_BYTES]
        yield types.Piece(object=digest, offset=begin, data=part, size=len(data))
