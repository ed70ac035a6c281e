"""Objects by their SHA-256, on the files of the house, and an upload in pieces. learning.md section 6."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from didymos_contracts.errors.training import (
    TRAINING_DIGEST_MISMATCHED,
    TRAINING_OBJECT_TOO_LARGE,
    TRAINING_PIECE_MISPLACED,
)
from didymos_kit.files import Files
from didymos_kit.telemetry.metrics import Histogram

PIECE_BYTES: Final = 256 * 1024
_PREFIX: Final = "training/objects"


def _key(digest: bytes) -> str:
    return f"{_PREFIX}/{digest.hex()}"


class FileObjects:
    """An object is written once: a second `put` of the same bytes finds it there."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def put(self, data: bytes) -> bytes:
        digest = sha256(data).digest()
        await self._files.put(_key(digest), data, if_absent=True)
        return digest

    async def get(self, digest: bytes) -> bytes | None:
        if len(digest) != 32:
            return None
        return await self._files.get(_key(digest))

    async def drop(self, digest: bytes) -> None:
        await self._files.delete(_key(digest))


@dataclass(frozen=True, slots=True)
class PieceOf:
    """`data` at `offset` of the object `digest`, which has `size` bytes in all."""

    digest: bytes
    offset: int
    data: bytes
    size: int


@dataclass
class _Upload:
    size: int
    data: bytearray = field(default_factory=bytearray)


class Uploads:
    """What sites send in pieces, by sender and digest. A broken upload goes on where it broke; a restart begins anew.

    At most `limit` bytes an object, and `open_limit` uploads a sender: a site cannot fill the memory.
    """

    def __init__(self, objects: FileObjects, limit: int, open_limit: int = 4, sizes: Histogram | None = None) -> None:
        self._objects, self._limit, self._open_limit, self._sizes = objects, limit, open_limit, sizes
        self._open: dict[tuple[str, bytes], _Upload] = {}

    async def offset(self, sender: str, digest: bytes) -> tuple[int, bool]:
        """How many bytes are there, and whether that is all of them."""
        stored = await self._objects.get(digest)
        if stored is not None:
            return len(stored), True
        upload = self._open.get((sender, digest))
        return (0 if upload is None else len(upload.data)), False

    async def take(self, sender: str, piece: PieceOf) -> tuple[int, bool]:
        """The next offset, and whether the object is complete: then it is durable.

        Raises TRAINING_PIECE_MISPLACED, TRAINING_OBJECT_TOO_LARGE, TRAINING_DIGEST_MISMATCHED.
        """
        if piece.size > self._limit or len(piece.data) > PIECE_BYTES:
            raise TRAINING_OBJECT_TOO_LARGE.problem(limit=self._limit, piece=PIECE_BYTES)
        if len(piece.digest) != 32 or not piece.data:
            raise TRAINING_PIECE_MISPLACED.problem(detail="a piece names a SHA-256 and holds at least a byte")
        stored = await self._objects.get(piece.digest)
        if stored is not None:
            return len(stored), True
        name = (sender, piece.digest)
        upload = self._open.get(name) or self._begun(name, piece)
        if piece.size != upload.size or piece.offset != len(upload.data):
            raise TRAINING_PIECE_MISPLACED.problem(next_offset=len(upload.data), size=upload.size)
        if piece.offset + len(piece.data) > upload.size:
            del self._open[name]
            raise TRAINING_OBJECT_TOO_LARGE.problem(limit=upload.size)
        upload.data += piece.data
        if len(upload.data) < upload.size:
            return len(upload.data), False
        del self._open[name]
        whole = bytes(upload.data)
        if sha256(whole).digest() != piece.digest:
            raise TRAINING_DIGEST_MISMATCHED.problem(object=piece.digest.hex())
        await self._objects.put(whole)
        if self._sizes is not None:
            self._sizes.observe(len(whole))
        return len(whole), True

    def _begun(self, name: tuple[str, bytes], piece: PieceOf) -> _Upload:
        """A new upload; the oldest of this sender makes room."""
        own = [each for each in self._open if each[0] == name[0]]
        if len(own) >= self._open_limit:
            del self._open[own[0]]
        upload = self._open[name] = _Upload(piece.size)
        return upload
