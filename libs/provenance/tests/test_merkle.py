"""The tree of RFC 6962: published roots, proofs that verify, and no other proof that does."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import pytest
from didymos_provenance import (
    EMPTY_ROOT,
    Frontier,
    Hash,
    ProvenanceError,
    append,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    proof_hashes,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from hypothesis import given, settings
from hypothesis import strategies as st

# The test tree of the Certificate Transparency reference implementation: 8 leaves and the root after each.
CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_LEAF_HASHES = [leaf_hash(leaf) for leaf in CT_LEAVES]
LEAVES = [leaf_hash(str(i).encode()) for i in range(600)]


def plain_root(leaves: Sequence[Hash]) -> Hash:
    """RFC 6962 2.1, as it is written there."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha256().digest()
    middle = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(plain_root(leaves[:middle]), plain_root(leaves[middle:]))


def read_node(level: int, index: int) -> Hash:
    return plain_root(LEAVES[index << level : (index + 1) << level])


def inclusion(index: int, size: int) -> tuple[Hash, ...]:
    return proof_hashes(inclusion_ranges(index, size), read_node)


def consistency(old: int, size: int) -> tuple[Hash, ...]:
    return proof_hashes(consistency_ranges(old, size), read_node)


def test_the_roots_of_the_certificate_transparency_test_tree() -> None:
    frontier = Frontier()
    assert frontier.root() == EMPTY_ROOT == sha256().digest()
    for leaf, root in zip(CT_LEAF_HASHES, CT_ROOTS, strict=True):
        frontier, full = append(frontier, [leaf])
        assert (frontier.root().hex(), full) == (root, ())


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [
        (0, 1, []),
        (0, 8, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
        (5, 8, ["bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
        (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (1, 5, ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
    ],
)  # fmt: skip
def test_the_inclusion_proofs_of_that_tree(index: int, size: int, path: list[str]) -> None:
    hashes = [bytes.fromhex(value) for value in path]
    verify_inclusion(CT_LEAF_HASHES[index], index, size, hashes, bytes.fromhex(CT_ROOTS[size - 1]))

    def read(level: int, at: int) -> Hash:
        return plain_root(CT_LEAF_HASHES[at << level : (at + 1) << level])

    assert list(proof_hashes(inclusion_ranges(index, size), read)) == hashes


@pytest.mark.parametrize(
    ("old", "size", "path"),
    [
        (1, 8, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
        (6, 8, ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
        (2, 5, ["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
        (8, 8, []),
    ],
)  # fmt: skip
def test_the_consistency_proofs_of_that_tree(old: int, size: int, path: list[str]) -> None:
    roots = bytes.fromhex(CT_ROOTS[old - 1]), bytes.fromhex(CT_ROOTS[size - 1])
    verify_consistency(old, size, *roots, [bytes.fromhex(value) for value in path])


@given(st.lists(st.integers(0, 300), max_size=4))
def test_a_frontier_grown_in_any_steps_has_the_root_and_tiles_of_the_whole(steps: list[int]) -> None:
    frontier, tiles, size = Frontier(), list[tuple[int, int]](), 0
    for step in steps:
        leaves = [leaf_hash(str(i).encode()) for i in range(size, size + step)]
        frontier, full = append(frontier, leaves)
        size += step
        tiles += [(tile.level, tile.index) for tile in full]
        assert all(len(tile.hashes) == 256 for tile in full)
    whole = [leaf_hash(str(i).encode()) for i in range(size)]
    assert (frontier.size, frontier.root()) == (size, plain_root(whole))
    assert root_of(whole) == plain_root(whole)
    assert tiles == [(0, index) for index in range(size // 256)]


def test_256_full_tiles_fill_a_tile_of_the_next_level() -> None:
    frontier, full = append(Frontier(), [leaf_hash(b"same")] * 65_536)
    assert [(tile.level, tile.index) for tile in full][-2:] == [(0, 255), (1, 0)]
    assert [len(row) for row in frontier.edge] == [0, 0, 1]
    assert frontier.root() == root_of(full[-1].hashes) == frontier.edge[2][0]


@given(st.integers(1, 600), st.data())
@settings(max_examples=60)
def test_every_inclusion_proof_verifies_and_every_change_fails(size: int, draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, size - 1))
    path, root = inclusion(index, size), plain_root(LEAVES[:size])
    verify_inclusion(LEAVES[index], index, size, path, root)
    wrong: list[tuple[Hash, int, int, Sequence[Hash], Hash]] = [
        (LEAVES[index], index, size, [*path, root], root),
        (LEAVES[index], size, size, path, root),
        (LEAVES[index], -1, size, path, root),
        (flip(LEAVES[index], 7), index, size, path, root),
        (LEAVES[index], index, size, path, flip(root, 9)),
    ]
    wrong += [(LEAVES[index], index, size, path[:-1], root)] if path else []
    wrong += [(LEAVES[index], other, size, path, root) for other in {0, size - 1, index ^ 1} - {index} if other < size]
    for place in range(len(path)):
        bit = draw.draw(st.integers(0, 255))
        wrong.append((LEAVES[index], index, size, [*path[:place], flip(path[place], bit), *path[place + 1 :]], root))
    for case in wrong:
        with pytest.raises(ProvenanceError, match=r"ledger\.proof_invalid"):
            verify_inclusion(*case)


@given(st.integers(1, 600), st.data())
@settings(max_examples=60)
def test_every_consistency_proof_verifies_and_every_change_fails(size: int, draw: st.DataObject) -> None:
    old = draw.draw(st.integers(1, size))
    path, a, b = consistency(old, size), plain_root(LEAVES[:old]), plain_root(LEAVES[:size])
    verify_consistency(old, size, a, b, path)
    wrong: list[tuple[int, int, Hash, Hash, Sequence[Hash]]] = [
        (old, size, flip(a, 3), b, path),
        (old, size, a, flip(b, 3), path),
        (old, size, a, b, [*path, a]),
        (0, size, a, b, path),
        (size + 1, size, a, b, path),
    ]
    wrong += [(old, size, a, b, path[:-1]), (old, size, a, b, [])] if path else []
    for place in range(len(path)):
        bit = draw.draw(st.integers(0, 255))
        wrong.append((old, size, a, b, [*path[:place], flip(path[place], bit), *path[place + 1 :]]))
    for case in wrong:
        with pytest.raises(ProvenanceError, match=r"ledger\.proof_invalid"):
            verify_consistency(*case)


def test_no_proof_is_planned_outside_the_tree() -> None:
    for plan, first, size in ((inclusion_ranges, 4, 4), (inclusion_ranges, -1, 4), (consistency_ranges, 0, 4)):
        with pytest.raises(ProvenanceError):
            plan(first, size)


def test_a_frontier_is_a_value() -> None:
    before = Frontier()
    append(before, LEAVES[:3])
    assert before == Frontier() == replace(before)


def flip(value: Hash, bit: int) -> Hash:
    return bytes(byte ^ (1 << bit % 8 if place == bit // 8 else 0) for place, byte in enumerate(value))
