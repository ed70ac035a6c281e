"""The tree is that of RFC 6962; every block is proved by its path, and by no other."""

from hashlib import sha256

from didymos_readings import block_is_signed, paths_of, root_from_path, root_of
from didymos_testing.readings import a_column, an_envelope
from hypothesis import given
from hypothesis import strategies as st


def recursive_root(blocks: list[bytes]) -> bytes:
    """Section 2.1, as it is written."""
    if not blocks:
        return sha256(b"").digest()
    if len(blocks) == 1:
        return sha256(b"\0" + blocks[0]).digest()
    split = 1
    while split * 2 < len(blocks):
        split *= 2
    return sha256(b"\1" + recursive_root(blocks[:split]) + recursive_root(blocks[split:])).digest()


# The leaves and heads that Certificate Transparency implementations test with.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
HEADS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def test_published_heads_are_found() -> None:
    leaves = [bytes.fromhex(leaf) for leaf in LEAVES]
    assert {size: root_of(leaves[:size]).hex() for size in HEADS} == HEADS


@given(st.lists(st.binary(max_size=4), max_size=40))
def test_the_head_is_that_of_the_recursive_definition(blocks: list[bytes]) -> None:
    assert root_of(blocks) == recursive_root(blocks)


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40), st.binary(max_size=70))
def test_each_path_leads_to_the_head_and_a_changed_one_does_not(blocks: list[bytes], noise: bytes) -> None:
    root = root_of(blocks)
    for leaf, path in enumerate(paths_of(blocks)):
        assert root_from_path(blocks[leaf], leaf, len(blocks), path) == root
        assert root_from_path(blocks[leaf] + b"x", leaf, len(blocks), path) != root
        if noise:
            assert root_from_path(blocks[leaf], leaf, len(blocks), path + noise) is None
        if path:
            assert root_from_path(blocks[leaf], leaf, len(blocks), path[:-32]) is None
    assert root_from_path(blocks[0], len(blocks), len(blocks), b"") is None


def test_a_block_is_proved_against_the_signed_header() -> None:
    envelope = an_envelope(a_column([1.0]), a_column([2.0]), a_column([3.0]))
    paths = paths_of(envelope.blocks)
    assert block_is_signed(envelope.header_bytes, envelope.blocks[2], 2, paths[2])
    assert not block_is_signed(envelope.header_bytes, envelope.blocks[1], 2, paths[2])
    assert not block_is_signed(envelope.header_bytes, envelope.blocks[2], 1, paths[2])
