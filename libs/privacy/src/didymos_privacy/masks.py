"""Masks: a stream of AES-256-CTR added to a vector modulo 2^32. privacy.md sections 2 and 3."""

from typing import Final

import numpy as np

from didymos_privacy.kdf import BLOCK_BYTES, derived, stream
from didymos_privacy.vector import U32

PIECE: Final = 131_072  # coordinates: 512 KiB, so that stream and sum stay in the cache
_ZEROS: Final = bytes(4 * PIECE)
_A_BLOCK: Final = BLOCK_BYTES // 4


def mask_key(seed: bytes, transcript: bytes) -> bytes:
    """The key of the one mask that `seed` makes in the attempt of `transcript`."""
    return derived(seed, "didymos/sa-mask/v1", salt=transcript)


def add_mask(acc: U32, key: bytes, sign: int, first: int = 0) -> None:
    """acc (d,) += sign * mask[first : first + d], in place. `sign`: 1 or -1; `first`: a multiple of 4 (one block).

    Any cut into ranges gives the same bits as the whole.
    """
    if first % _A_BLOCK:
        raise ValueError("a range of coordinates begins with a block of the cipher")
    cipher = stream(key, first // _A_BLOCK)
    out = bytearray(min(4 * acc.size, len(_ZEROS)) + BLOCK_BYTES - 1)
    combine = np.add if sign > 0 else np.subtract
    for start in range(0, acc.size, PIECE):
        part = acc[start : start + PIECE]
        cipher.update_into(memoryview(_ZEROS)[: 4 * part.size], out)
        combine(part, np.frombuffer(out, dtype="<u4", count=part.size), out=part)
