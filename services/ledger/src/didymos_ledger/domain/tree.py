"""The growing tree of a log, as far as it is not yet in stored tiles. marketplace-ledger.md section 2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from didymos_provenance import (
    TILE_WIDTH,
    Bundle,
    Frontier,
    Hash,
    Place,
    ProvenanceError,
    Tile,
    append,
    decode_tile,
    encode_entries,
    encode_tile,
    leaf_hash,
    partial_width,
    place_path,
    root_of,
    tile_width,
)


def edge_tiles(base: int) -> list[Tile]:
    """The stored tiles whose roots make up the partial tiles of a tree of `base` leaves, a multiple of 256."""
    tiles, level = list[Tile](), 1
    while base >> 8 * level:
        width = partial_width(level, base)
        start = (base >> 8 * level) - width
        tiles += [Tile(level - 1, index) for index in range(start, start + width)]
        level += 1
    return tiles


def edge_of(base: int, stored: Mapping[Tile, bytes]) -> Frontier:
    """The frontier of a tree of `base` leaves from its `edge_tiles`. Raises ProvenanceError for a tile cut short."""
    edge, level = list[tuple[Hash, ...]]([()] if base else []), 1
    while base >> 8 * level:
        row = [tile for tile in edge_tiles(base) if tile.level == level - 1]
        edge.append(tuple(root_of(decode_tile(stored[tile], TILE_WIDTH)) for tile in row))
        level += 1
    return Frontier(base, tuple(edge))


@dataclass(slots=True)
class GrowingTree:
    """All entries from `base` on, the frontier above them, and full tiles that wait for the next publication."""

    frontier: Frontier = field(default_factory=Frontier)
    base: int = 0  # entries below are in stored bundles; a multiple of 256
    tail: list[bytes] = field(default_factory=list)
    full: dict[tuple[int, int], tuple[Hash, ...]] = field(default_factory=dict)

    def grow(self, texts: Sequence[bytes], leaves: Sequence[Hash] | None = None) -> None:
        """Add entries; `leaves` are their hashes, where the caller has them."""
        hashes = [leaf_hash(text) for text in texts] if leaves is None else leaves
        self.frontier, full = append(self.frontier, hashes)
        self.full |= {(tile.level, tile.index): tile.hashes for tile in full}
        self.tail += texts

    def files(self) -> list[tuple[str, bytes]]:
        """What a publication of all entries must store first: full tiles and full bundles, by path."""
        files = [(place_path(Tile(*key)), encode_tile(hashes)) for key, hashes in self.full.items()]
        for start in range(0, len(self.tail) - TILE_WIDTH + 1, TILE_WIDTH):
            bundle = Bundle((self.base + start) // TILE_WIDTH)
            files.append((place_path(bundle), encode_entries(self.tail[start : start + TILE_WIDTH])))
        return files

    def stored(self, size: int) -> None:
        """Everything full in a tree of `size` is stored: let go of it."""
        base = size - size % TILE_WIDTH
        del self.tail[: base - self.base]
        self.base = base
        self.full = {key: row for key, row in self.full.items() if tile_width(*key, size) < TILE_WIDTH}

    def held(self, place: Place) -> bytes | None:
        """The first `place.width` hashes or entries, if they are here; None: look at what is stored."""
        rows = self._entries(place) if isinstance(place, Bundle) else self._hashes(place)
        if rows is None:
            return None
        if len(rows) < place.width:
            raise ProvenanceError("ledger.proof_invalid", width=place.width, held=len(rows))
        cut = rows[: place.width]
        return encode_entries(cut) if isinstance(place, Bundle) else encode_tile(cut)

    def _hashes(self, tile: Tile) -> Sequence[Hash] | None:
        if (tile.level, tile.index) in self.full:
            return self.full[tile.level, tile.index]
        growing = tile.index == self.frontier.size >> 8 * (tile.level + 1)
        return self.frontier.edge[tile.level] if growing and tile.level < len(self.frontier.edge) else None

    def _entries(self, bundle: Bundle) -> Sequence[bytes] | None:
        start = bundle.index * TILE_WIDTH - self.base
        return self.tail[start : start + TILE_WIDTH] if start >= 0 else None
