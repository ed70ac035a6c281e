"""The Merkle tree over a batch's blocks. RFC 6962 section 2.1, SHA-256."""

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeAlias

NODE_BYTES = 32
Levels: TypeAlias = Sequence[Sequence[bytes]]


def leaf_hash(block: bytes) -> bytes:
    """SHA-256(0x00 || block)."""
    return sha256(b"\0" + block).digest()


def root_of(blocks: Sequence[bytes]) -> bytes:
    """The tree head of n >= 0 blocks."""
    if not blocks:
        return sha256(b"").digest()
    return levels_of(blocks)[-1][0]


def paths_of(blocks: Sequence[bytes]) -> list[bytes]:
    """The audit path of each block, nodes joined from the leaf up. Section 2.1.1."""
    return paths_in(levels_of(blocks))


def paths_in(levels: Levels) -> list[bytes]:
    """The same of a tree that is there already: a node's path is its sibling, then the path of the node above."""
    paths = [b""]
    for level in reversed(levels[:-1]):
        count = len(level)
        paths = [
            level[at ^ 1] + paths[at >> 1] if at ^ 1 < count else paths[at >> 1]  # an odd last node has no sibling
            for at in range(count)
        ]
    return paths


def root_from_path(block: bytes, leaf: int, count: int, path: bytes) -> bytes | None:
    """The head that `path` leads to from `block`, the `leaf`-th of `count`; None if the path does not fit the place."""
    if not 0 <= leaf < count or len(path) % NODE_BYTES:
        return None
    head, used, last = leaf_hash(block), 0, count - 1
    while last:
        if leaf & 1 or leaf < last:
            node = path[used : used + NODE_BYTES]
            if len(node) < NODE_BYTES:
                return None
            used += NODE_BYTES
            head = sha256(b"\1" + node + head).digest() if leaf & 1 else sha256(b"\1" + head + node).digest()
        leaf, last = leaf >> 1, last >> 1
    return head if used == len(path) else None


def levels_of(blocks: Sequence[bytes]) -> list[list[bytes]]:
    """All nodes of the tree over n >= 1 blocks, from the leaves to the head."""
    # Joining neighbours level by level and promoting an odd last node gives the tree of the recursive definition.
    level = [sha256(b"\0" + block).digest() for block in blocks]
    levels = [level]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [sha256(b"\1" + left + right).digest() for left, right in pairs] + level[len(level) & ~1 :]
        levels.append(level)
    return levels
