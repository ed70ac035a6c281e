"""Shamir's secret sharing over the prime 2^31 - 1: 32 bytes as 9 limbs of 30 bits. privacy.md section 2."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_privacy.errors import PrivacyError
from didymos_privacy.kdf import KEY_BYTES, stream

U64: TypeAlias = NDArray[np.uint64]
PRIME: Final = 2**31 - 1
LIMBS: Final = 9
LIMB_BITS: Final = 30
SHARE_BYTES: Final = 4 * LIMBS
_P: Final = np.uint64(PRIME)
_SHARE: Final = Struct(f"<{LIMBS}I")


def uniform(key: bytes, count: int) -> U64:
    """`count` numbers, each uniform in 0..p-1: 31 bits of the stream of `key`, and again where they equal p."""
    cipher, found = stream(key), np.empty(0, dtype=np.uint64)
    while found.size < count:
        words = np.frombuffer(cipher.update(bytes(4 * (count - found.size))), dtype="<u4") & np.uint32(PRIME)
        found = np.concatenate([found, words[words != PRIME].astype(np.uint64)])
    return found


def split_secret(secret: bytes, threshold: int, xs: Sequence[int], key: bytes) -> tuple[bytes, ...]:
    """A share of 36 bytes for each x of `xs` (all different, 1..p-1): any `threshold` of them give the secret.

    `key`: 32 fresh secret bytes, the source of the coefficients. Raises PrivacyError `privacy.share_invalid`.
    """
    if len(secret) != KEY_BYTES or not 1 <= threshold <= len(xs) or len(set(xs)) != len(xs) or min(xs) < 1:
        raise PrivacyError("privacy.share_invalid", "32 bytes, different places from 1, no more needed than there are")
    number = int.from_bytes(secret, "big")
    mask = (1 << LIMB_BITS) - 1
    limbs = np.array([number >> (LIMB_BITS * limb) & mask for limb in range(LIMBS)], dtype=np.uint64)
    rows = [limbs, *uniform(key, (threshold - 1) * LIMBS).reshape(threshold - 1, LIMBS)]
    at = np.array(xs, dtype=np.uint64)[:, None]
    values = np.zeros((len(xs), LIMBS), dtype=np.uint64)
    for row in reversed(rows):  # Horner; both factors are below 2^31
        values = (values * at + row) % _P
    return tuple(share.astype("<u4").tobytes() for share in values)


@lru_cache(maxsize=1024)
def _weights(xs: tuple[int, ...]) -> tuple[int, ...]:
    """Lagrange's weights at 0 for the places `xs`, with one inversion for all: prod of the others x / (x - this)."""
    tops, bottoms = [], []
    for x in xs:
        above, below = 1, 1
        for other in xs:
            if other != x:
                above, below = above * other, below * (other - x)
        tops.append(above % PRIME)
        bottoms.append(below % PRIME)
    before = [1]
    for bottom in bottoms:
        before.append(before[-1] * bottom % PRIME)
    inverse, weights = pow(before[-1], -1, PRIME), [0] * len(xs)
    for at in reversed(range(len(xs))):
        weights[at] = tops[at] * before[at] % PRIME * inverse % PRIME
        inverse = inverse * bottoms[at] % PRIME
    return tuple(weights)


def join_secret(shares: Mapping[int, bytes], threshold: int) -> bytes:
    """The secret, from `threshold` of the shares by their place. Raises PrivacyError `privacy.share_invalid`,
    `privacy.threshold_missed`.

    Shares that do not belong together give other bytes or none: the caller compares with the commitment.
    """
    if len(shares) < threshold:
        raise PrivacyError("privacy.threshold_missed", f"{len(shares)} shares, {threshold} needed")
    places = tuple(sorted(shares)[:threshold])
    rows = np.array(list(_limbs(shares[x] for x in places)), dtype=np.uint64)
    weights = np.array(_weights(places), dtype=np.uint64)[:, None]
    limbs = (rows * weights % _P).sum(axis=0) % _P
    number = sum(int(limb) << (LIMB_BITS * at) for at, limb in enumerate(limbs))
    if number >> (8 * KEY_BYTES) or any(int(limb) >> LIMB_BITS for limb in limbs):
        raise PrivacyError("privacy.share_invalid", "the shares do not belong together")
    return number.to_bytes(KEY_BYTES, "big")


def _limbs(shares: Iterable[bytes]) -> Iterable[NDArray[np.uint32]]:
    for share in shares:
        if not is_share(share):
            raise PrivacyError("privacy.share_invalid", f"a share has {SHARE_BYTES} bytes, all limbs below the prime")
        yield np.frombuffer(share, dtype="<u4")


def is_share(raw: bytes) -> bool:
    """Whether these bytes can be a share."""
    return len(raw) == SHARE_BYTES and max(_SHARE.unpack(raw)) < PRIME
