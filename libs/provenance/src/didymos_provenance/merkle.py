"""The Merkle tree of RFC 6962 section 2.1: hashes, growth by a frontier, proofs by RFC 9162 section 2.1.

A *node* (level, index) is the root of the complete subtree over leaves [index * 2^level, (index + 1) * 2^level).
Proofs are planned as half-open ranges of leaves, so that a caller knows which nodes to read before it reads any.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias

from didymos_provenance.errors import ProvenanceError

Hash: TypeAlias = bytes  # 32 bytes
Range: TypeAlias = tuple[int, int]  # leaves [start, end)
ReadNode: TypeAlias = Callable[[int, int], Hash]  # (level, index) -> its hash

HASH_BYTES: Final = 32
TILE_WIDTH: Final = 256
TILE_HEIGHT: Final = 8  # 2^8 = TILE_WIDTH: tree levels in one tile level
EMPTY_ROOT: Final[Hash] = sha256().digest()


@dataclass(frozen=True, slots=True)
class FullTile:
    """256 consecutive hashes of tile level `level`; tile `index` starts at hash 256 * index of that level."""

    level: int
    index: int
    hashes: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` leaves, reduced to what growth needs: the partial tile of each tile level, lowest first."""

    size: int = 0
    edge: tuple[tuple[Hash, ...], ...] = ()

    def root(self) -> Hash:
        """Merkle tree hash of all leaves; of no leaves the hash of nothing. RFC 6962 2.1."""
        peaks = [peak for row in reversed(self.edge) for peak in _peaks(row)]
        return _fold(peaks) if peaks else EMPTY_ROOT


def leaf_hash(entry: bytes) -> Hash:
    """SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    """SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[Hash]) -> Hash:
    """Merkle tree hash over n leaf hashes, or over the n hashes of one tile."""
    return _fold(_peaks(hashes)) if hashes else EMPTY_ROOT


def append(frontier: Frontier, leaves: Sequence[Hash]) -> tuple[Frontier, tuple[FullTile, ...]]:
    """`frontier` after n more leaf hashes, and the tiles that became full, each after those it is made of."""
    edge, full, fresh, level = list(frontier.edge), list[FullTile](), list(leaves), 0
    while fresh:
        if level == len(edge):
            edge.append(())
        before = frontier.size >> (TILE_HEIGHT * (level + 1))  # full tiles of this level so far
        row = [*edge[level], *fresh]
        cut = len(row) - len(row) % TILE_WIDTH
        fresh = []
        for start in range(0, cut, TILE_WIDTH):
            hashes = tuple(row[start : start + TILE_WIDTH])
            full.append(FullTile(level, before + start // TILE_WIDTH, hashes))
            fresh.append(root_of(hashes))
        edge[level] = tuple(row[cut:])
        level += 1
    return Frontier(frontier.size + len(leaves), tuple(edge)), tuple(full)


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Ranges whose hashes prove leaf `index` in a tree of `size`, from the sibling of the leaf up. RFC 6962 2.1.1."""
    if not 0 <= index < size:
        raise ProvenanceError("ledger.proof_invalid", index=index, size=size)
    ranges, low, high = list[Range](), 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return ranges[::-1]


def consistency_ranges(old: int, size: int) -> list[Range]:
    """Ranges whose hashes prove that the tree of `old` leaves is a prefix of that of `size`. RFC 6962 2.1.2."""
    if not 0 < old <= size:
        raise ProvenanceError("ledger.proof_invalid", old=old, size=size)
    ranges, low, high = list[Range](), 0, size
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    if low:  # else the old root itself is a node, and the verifier has it
        ranges.append((low, high))
    return ranges[::-1]


def nodes_of(span: Range) -> Iterator[tuple[int, int]]:
    """The complete nodes (level, index) that make up a range of a proof, left to right, largest first."""
    low, high = span
    while low < high:
        level = (high - low).bit_length() - 1
        yield level, low >> level
        low += 1 << level


def proof_hashes(ranges: Sequence[Range], read: ReadNode) -> tuple[Hash, ...]:
    """The hash of each range, from complete nodes."""
    return tuple(_fold([read(level, index) for level, index in nodes_of(span)]) for span in ranges)


def verify_inclusion(leaf: Hash, index: int, size: int, path: Sequence[Hash], root: Hash) -> None:
    """Leaf `index` of the tree with `size` and `root` is `leaf`, or ProvenanceError. RFC 9162 2.1.3.2."""
    if not 0 <= index < size:
        raise ProvenanceError("ledger.proof_invalid", index=index, size=size)
    node, last, at = leaf, size - 1, index
    for sibling in path:
        if last == 0:
            raise ProvenanceError("ledger.proof_invalid", index=index, size=size, hashes=len(path))
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    if last or node != root:
        raise ProvenanceError("ledger.proof_invalid", index=index, size=size, hashes=len(path))


def verify_consistency(m: int, n: int, a: Hash, b: Hash, path: Sequence[Hash]) -> None:
    """Root `a` of m leaves is a prefix of root `b` of n, 0 < m <= n, or ProvenanceError. RFC 9162 2.1.4.2."""
    wrong = ProvenanceError("ledger.proof_invalid", old=m, size=n, hashes=len(path))
    if not 0 < m <= n:
        raise wrong
    if m == n:
        if path or a != b:
            raise wrong
        return
    rest = [a, *path] if m & (m - 1) == 0 else list(path)  # a power of two is a node: the old root stands for it
    if not rest:
        raise wrong
    at, last = m - 1, n - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = rest[0]
    for sibling in rest[1:]:
        if last == 0:
            raise wrong
        if at & 1 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    if last or old != a or new != b:
        raise wrong


def _split(width: int) -> int:
    """The largest power of two below `width` > 1."""
    return 1 << ((width - 1).bit_length() - 1)


def _peaks(row: Sequence[Hash]) -> list[Hash]:
    """Roots of the complete subtrees over a row of hashes, left to right: one for each bit of its length."""
    peaks, level = list[Hash](), list(row)
    while level:
        if len(level) & 1:
            peaks.append(level.pop())
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return peaks[::-1]


def _fold(peaks: Sequence[Hash]) -> Hash:
    """The root over peaks, left to right: the rightmost are joined first."""
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root
