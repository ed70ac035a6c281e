"""Tiles and entry bundles of C2SP tlog-tiles: coordinates, paths, bytes, and nodes read out of tiles."""

import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from didymos_provenance.errors import ProvenanceError
from didymos_provenance.merkle import (
    HASH_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Hash,
    Range,
    ReadNode,
    nodes_of,
    root_of,
)

MAX_ENTRY_BYTES: Final = 0xFFFF  # of the format; `entry.py` allows less
_PATH = re.compile(r"tile/(entries|0|[1-5]?[0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A tile of hashes. `level` 0..63, `width` 1..256; only the full one is for ever."""

    level: int
    index: int
    width: int = TILE_WIDTH


@dataclass(frozen=True, slots=True, order=True)
class Bundle:
    """The entries whose hashes are level-0 tile `index`."""

    index: int
    width: int = TILE_WIDTH


Place: TypeAlias = Tile | Bundle


def place_path(place: Place) -> str:
    """`tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`; N = 1234067 is `x001/x234/067`."""
    folder = str(place.level) if isinstance(place, Tile) else "entries"
    partial = "" if place.width == TILE_WIDTH else f".p/{place.width}"
    return f"tile/{folder}/{_number_path(place.index)}{partial}"


def parse_place(path: str) -> Place:
    """The inverse of `place_path`. Raises `ledger.proof_invalid` for anything it would not write."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise ProvenanceError("ledger.proof_invalid", path=path[:80])
    index = int(found[2].replace("x", "").replace("/", ""))
    width = int(found[3]) if found[3] else TILE_WIDTH
    place: Place = Bundle(index, width) if found[1] == "entries" else Tile(int(found[1]), index, width)
    if place_path(place) != path or width > TILE_WIDTH:
        raise ProvenanceError("ledger.proof_invalid", path=path[:80])
    return place


def partial_width(level: int, size: int) -> int:
    """Hashes in the partial tile of tile level `level` in a tree of `size` leaves; 0: there is none."""
    return (size >> (TILE_HEIGHT * level)) % TILE_WIDTH


def tile_width(level: int, index: int, size: int) -> int:
    """Hashes that tile (level, index) holds in a tree of `size` leaves, 0..256."""
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH))


def encode_tile(hashes: Sequence[Hash]) -> bytes:
    """w hashes of 32 bytes, side by side."""
    return b"".join(hashes)


def decode_tile(raw: bytes, width: int) -> tuple[Hash, ...]:
    """The first `width` hashes of a tile that may have grown since. Raises `ledger.proof_invalid` if it is shorter."""
    if len(raw) % HASH_BYTES or len(raw) < width * HASH_BYTES:
        raise ProvenanceError("ledger.proof_invalid", width=width, bytes=len(raw))
    return tuple(raw[i : i + HASH_BYTES] for i in range(0, width * HASH_BYTES, HASH_BYTES))


def encode_entries(entries: Iterable[bytes]) -> bytes:
    """Each entry after its length, uint16 big-endian."""
    return b"".join([struct.pack(">H", len(entry)) + entry for entry in entries])


def decode_entries(raw: bytes) -> tuple[bytes, ...]:
    """The entries of a bundle. Raises `ledger.entry_invalid` if it ends inside one."""
    entries, at = list[bytes](), 0
    while at < len(raw):
        end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
        if end > len(raw) or at + 2 > len(raw):
            raise ProvenanceError("ledger.entry_invalid", at=at, bytes=len(raw))
        entries.append(raw[at + 2 : end])
        at = end
    return tuple(entries)


def tiles_of(ranges: Iterable[Range], size: int) -> tuple[Tile, ...]:
    """The tiles, as wide as a tree of `size` has them, that hold all nodes of these ranges."""
    homes = {_home(level, index)[0] for span in ranges for level, index in nodes_of(span)}
    return tuple(Tile(level, index, tile_width(level, index, size)) for level, index in sorted(homes))


def node_reader(tiles: Mapping[tuple[int, int], Sequence[Hash]]) -> ReadNode:
    """Nodes out of tiles by (tile level, tile index). Reading outside them raises `ledger.proof_invalid`."""

    def read(level: int, index: int) -> Hash:
        home, start, count = _home(level, index)
        hashes = tiles.get(home, ())[start : start + count]
        if len(hashes) != count:
            raise ProvenanceError("ledger.proof_invalid", level=level, index=index)
        return root_of(hashes)

    return read


def _home(level: int, index: int) -> tuple[tuple[int, int], int, int]:
    """Where node (level, index) lies: (tile level, tile index), first hash in that tile, how many hashes."""
    tile_level, inner = divmod(level, TILE_HEIGHT)
    first = index << inner
    return (tile_level, first >> TILE_HEIGHT), first % TILE_WIDTH, 1 << inner


def _number_path(number: int) -> str:
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))
