"""Vectors, masks, shares and keys by themselves."""

from hashlib import sha256
from math import erfc, sqrt
from typing import Any

import numpy as np
import pytest
from didymos_privacy import (
    PrivacyError,
    Scale,
    add_mask,
    dequantise,
    grid_step,
    join_secret,
    mask_key,
    quantise,
    split_secret,
    vector_bytes,
    vector_view,
)
from didymos_privacy.agreement import Keys, Trip, check_keys, encapsulate, pair_root, seal, unseal
from didymos_privacy.kdf import derived, random_bytes, stream
from didymos_privacy.shamir import PRIME, SHARE_BYTES, uniform
from didymos_testing.privacy import a_vector, a_world, an_attempt
from hypothesis import given, settings
from hypothesis import strategies as st

KEY = b"k" * 32


def chi_square_p(counts: np.ndarray[Any, Any]) -> float:
    """P of a chi-square at least this large, by the Wilson-Hilferty normal approximation (255 degrees of freedom)."""
    expected = counts.sum() / counts.size
    chi, dof = float(((counts - expected) ** 2 / expected).sum()), counts.size - 1
    z = ((chi / dof) ** (1 / 3) - (1 - 2 / (9 * dof))) / sqrt(2 / (9 * dof))
    return 0.5 * erfc(z / sqrt(2))


def test_one_masked_update_cannot_be_told_from_uniform() -> None:
    d = 60_000
    world = a_world(6, an_attempt(dim=d))
    update = np.full(d, 3, dtype=np.uint32)
    update[::2] = 2**32 - 5
    victim = next(iter(world.sites.values()))
    victim.vector = update
    world.run()
    raw = np.frombuffer(victim.sent, dtype=np.uint8).reshape(d, 4)
    for byte in range(4):
        counts = np.bincount(raw[:, byte], minlength=256).astype(np.float64)
        assert chi_square_p(counts) > 1e-6
    masked, plain = vector_view(victim.sent, d).astype(np.float64), update.view(np.int32).astype(np.float64)
    assert abs(float(np.corrcoef(masked, plain)[0, 1])) < 5 / d**0.5
    np.testing.assert_array_equal(world.opened(), world.plain())


@given(st.integers(1, 5000), st.data())
@settings(max_examples=40, deadline=None)
def test_a_mask_cut_into_ranges_is_the_whole_mask(size: int, data: st.DataObject) -> None:
    whole = np.zeros(size, dtype=np.uint32)
    add_mask(whole, KEY, 1)
    cut = 4 * data.draw(st.integers(0, size // 4))
    parts = np.zeros(size, dtype=np.uint32)
    add_mask(parts[:cut], KEY, 1)
    add_mask(parts[cut:], KEY, 1, first=cut)
    np.testing.assert_array_equal(parts, whole)
    add_mask(whole, KEY, -1)
    assert not whole.any()


def test_a_mask_is_the_stream_of_its_key_across_pieces() -> None:
    size = 300_001
    acc = np.zeros(size, dtype=np.uint32)
    add_mask(acc, KEY, 1)
    assert vector_bytes(acc) == random_bytes(KEY, 4 * size)
    with pytest.raises(ValueError, match="block"):
        add_mask(acc, KEY, 1, first=2)


@given(st.integers(2, 12), st.binary(min_size=32, max_size=32), st.data())
@settings(max_examples=60, deadline=None)
def test_any_threshold_of_shares_gives_the_secret(count: int, secret: bytes, data: st.DataObject) -> None:
    threshold = data.draw(st.integers(1, count))
    xs = data.draw(st.lists(st.integers(1, 100), min_size=count, max_size=count, unique=True))
    shares = dict(zip(xs, split_secret(secret, threshold, xs, KEY), strict=True))
    chosen = data.draw(st.lists(st.sampled_from(xs), min_size=threshold, max_size=count, unique=True))
    assert join_secret({x: shares[x] for x in chosen}, threshold) == secret


def test_one_share_less_than_the_threshold_is_uniform() -> None:
    """Of the same secret under many keys: the shares of t - 1 places fill their range evenly, and say nothing of it."""
    places, found = [1, 2, 3, 4], []
    for secret in (bytes(32), b"\xff" * 32):
        shares = [split_secret(secret, 3, places, derived(KEY, f"test {n}")) for n in range(600)]
        limbs = np.array([np.frombuffer(share[0] + share[1], dtype="<u4") for share in shares], dtype=np.float64)
        counts = np.bincount((limbs.ravel() * 64 // PRIME).astype(int), minlength=64).astype(np.float64)
        assert chi_square_p(counts) > 1e-6
        found.append(float(limbs.mean()) / PRIME)
    assert found == pytest.approx([0.5, 0.5], abs=0.02)


def test_numbers_for_shares_are_below_the_prime() -> None:
    assert int(uniform(KEY, 10_000).max()) < PRIME


def test_shares_that_cannot_be_are_refused() -> None:
    shares = dict(zip([1, 2, 3], split_secret(b"s" * 32, 2, [1, 2, 3], KEY), strict=True))
    with pytest.raises(PrivacyError, match=r"privacy\.threshold_missed"):
        join_secret({1: shares[1]}, 2)
    for bad in (b"", shares[1][:-1], b"\xff" * SHARE_BYTES):
        with pytest.raises(PrivacyError, match=r"privacy\.share_invalid"):
            join_secret({1: bad, 2: shares[2]}, 2)
    for places in ([1, 1], [0, 1], [1]):
        with pytest.raises(PrivacyError, match=r"privacy\.share_invalid"):
            split_secret(b"s" * 32, 2, places, KEY)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50))
@settings(max_examples=60, deadline=None)
def test_rounding_is_within_one_step_and_signs_survive(values: list[float]) -> None:
    grid, x = 2.0**-10, np.array(values)
    back = dequantise(quantise(x, grid, KEY), grid)
    assert np.abs(back - x).max() <= grid * (1 + 1e-9)


def test_rounding_has_no_bias() -> None:
    x = np.full(200_000, 0.3)
    assert float(dequantise(quantise(x, 1.0, KEY), 1.0).mean()) == pytest.approx(0.3, abs=0.005)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 2.0**31])
def test_what_does_not_fit_is_refused(bad: float) -> None:
    with pytest.raises(PrivacyError, match=r"privacy\.vector_mismatched"):
        quantise(np.array([0.0, bad]), 1.0, KEY)
    with pytest.raises(PrivacyError, match=r"privacy\.vector_mismatched"):
        vector_view(b"12345", 1)
    with pytest.raises(PrivacyError, match=r"privacy\.vector_mismatched"):
        grid_step(1.0, 0)


def test_the_sum_of_weighted_updates_comes_back_with_the_weight() -> None:
    rng = np.random.default_rng(1)
    scale = Scale(clip=2.0, heaviest=500.0, subjects=19)
    updates = [rng.normal(0, 0.02, 100) for _ in range(6)]
    weights = [float(w) for w in rng.integers(50, 500, 6)]
    total = np.zeros(101, dtype=np.uint32)
    for at, (update, weight) in enumerate(zip(updates, weights, strict=True)):
        total += scale.encode(update * weight, weight, derived(KEY, f"site {at}"))
    decoded, weight = scale.decode(total)
    assert weight == pytest.approx(sum(weights), rel=1e-4)
    wanted = sum(u * w for u, w in zip(updates, weights, strict=True)) / sum(weights)
    np.testing.assert_allclose(decoded / weight, wanted, atol=1e-5)


def test_all_subjects_at_the_bound_do_not_wrap() -> None:
    scale = Scale(clip=1.0, heaviest=1.0, subjects=1000)
    total = np.zeros(2, dtype=np.uint32)
    for at in range(10):
        total += scale.encode(np.array([100.0]), 100.0, derived(KEY, f"site {at}"))
    decoded, weight = scale.decode(total)
    assert [float(decoded[0]), weight] == pytest.approx([1000.0, 1000.0])


def test_both_ends_derive_one_root_and_each_part_counts() -> None:
    ours, theirs = Keys(b"a" * 32), Keys(b"b" * 32)
    sent, got = encapsulate(theirs.public.mlkem), encapsulate(ours.public.mlkem)
    one = pair_root(ours.exchange(theirs.public.x25519), Trip("a", *sent), Trip("b", *got), b"list")
    other = pair_root(
        theirs.exchange(ours.public.x25519), Trip("b", *got), Trip("a", theirs.decapsulate(sent[1]), sent[1]), b"list"
    )
    assert one == other
    assert pair_root(ours.exchange(theirs.public.x25519), Trip("a", *sent), Trip("b", *got), b"tsil") != one
    assert pair_root(b"0" * 32, Trip("a", *sent), Trip("b", *got), b"list") != one
    forged = Trip("a", b"0" * 32, sent[1])
    assert pair_root(ours.exchange(theirs.public.x25519), forged, Trip("b", *got), b"list") != one
    with pytest.raises(PrivacyError, match=r"privacy\.ciphertext_invalid"):
        ours.decapsulate(b"short")
    check_keys(ours.public)


def test_the_published_vectors_hold() -> None:
    """RFC 5869 A.3 (HKDF, no salt, no info) and SP 800-38A F.5.5 (AES-256-CTR)."""
    okm = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    assert derived(b"\x0b" * 22, "", size=42).hex() == okm
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    plain, cipher = "6bc1bee22e409f96e93d7e117393172a", "601ec313775789a5b7a7f504bbf3d228"
    block = int("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", 16)
    assert stream(key, block).update(bytes.fromhex(plain)).hex() == cipher


def test_a_seal_opens_for_its_key_and_context_only() -> None:
    sealed = seal(KEY, b"shares", b"list")
    assert unseal(KEY, sealed, b"list", "privacy.box_invalid") == b"shares"
    for key, raw, context in ((b"x" * 32, sealed, b"list"), (KEY, sealed[:-1], b"list"), (KEY, sealed, b"tsil")):
        with pytest.raises(PrivacyError, match=r"privacy\.box_invalid"):
            unseal(key, raw, context, "privacy.box_invalid")


def test_every_attempt_and_set_has_masks_of_its_own() -> None:
    seeds = {mask_key(KEY, sha256(str(n).encode()).digest()) for n in range(50)}
    assert len(seeds) == 50
    assert a_vector("a").dtype == np.uint32
