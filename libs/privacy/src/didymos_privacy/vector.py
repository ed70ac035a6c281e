"""A contribution as integers modulo 2^32 and back. privacy.md section 2.

A site adds the contributions of its subjects, each at most `clip` long (L2) and scaled by weight / heaviest <= 1. One
more coordinate carries the weight itself, so the coordinator learns the sum of weights and no single one.
"""

from dataclasses import dataclass
from math import ceil, log2
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_privacy.errors import PrivacyError
from didymos_privacy.kdf import BLOCK_BYTES, derived, stream

U32: TypeAlias = NDArray[np.uint32]
F64: TypeAlias = NDArray[np.float64]
Real: TypeAlias = NDArray[np.floating[Any]]
MOST_BITS: Final = 20
SIGNAL_BITS: Final = 30
_HALF: Final = float(2**31)
_POINT: Final = float(2**32)
_PIECE: Final = 32_768  # coordinates: 256 KiB of each array in between
_ZEROS: Final = bytes(4 * _PIECE)


def grid_step(clip: float, subjects: int) -> float:
    """The width of one step: clip / 2^min(20, 30 - ceil(log2 subjects)), so that all subjects together stay in 2^30."""
    if not 1 <= subjects <= 1 << SIGNAL_BITS or not np.isfinite(clip) or clip <= 0:
        raise PrivacyError("privacy.vector_mismatched", "a positive clip and at least one subject", subjects=subjects)
    return clip / float(2 ** min(MOST_BITS, SIGNAL_BITS - ceil(log2(subjects))))


def quantise(x: Real, grid: float, seed: bytes, out: U32 | None = None) -> U32:
    """x (d,) as whole steps of `grid`, rounded at random without bias, in two's complement. `seed`: 32 secret bytes.

    Fixed point: 32 bits after the point, a coin of 32 bits is added, the bits after the point fall away. In pieces, so
    that all of it stays in the cache. Raises PrivacyError `privacy.vector_mismatched` for what is not finite or does
    not fit.
    """
    bound = max(float(x.max(initial=0.0)), -float(x.min(initial=0.0)))  # NaN, if there is one
    if not bound / grid < _HALF - 1:
        raise PrivacyError("privacy.vector_mismatched", "a coordinate that is not finite, or over the bound")
    out, coins = np.empty(x.size, dtype=np.uint32) if out is None else out, stream(seed)
    scaled, fixed = np.empty(_PIECE), np.empty(_PIECE, dtype=np.int64)
    drawn = bytearray(4 * _PIECE + BLOCK_BYTES - 1)
    for start in range(0, x.size, _PIECE):
        part = x[start : start + _PIECE]
        coins.update_into(memoryview(_ZEROS)[: 4 * part.size], drawn)
        wide, whole = scaled[: part.size], fixed[: part.size]
        np.multiply(part, _POINT / grid, out=wide, dtype=np.float64)
        np.copyto(whole, wide, casting="unsafe")  # what is cut off here is below 2^-32 of a step
        whole += np.frombuffer(drawn, dtype="<u4", count=part.size)
        whole >>= 32
        np.copyto(out[start : start + _PIECE], whole.view(np.uint64), casting="unsafe")
    return out


def dequantise(total: U32, grid: float) -> F64:
    """The real sum (d,) behind a sum modulo 2^32."""
    return np.multiply(total.view(np.int32), grid, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Scale:
    """How contributions become integers. All of it is public: the spec, and the subject counts of the adverts.

    `clip`: L2 bound of one subject's update; `heaviest`: larger weights count as this; `subjects`: of all expected.
    """

    clip: float
    heaviest: float
    subjects: int

    @property
    def grid(self) -> float:
        return grid_step(self.clip, self.subjects)

    def encode(self, total: Real, weight: float, seed: bytes) -> U32:
        """total (d,) = sum of w_i x_i and weight = sum of w_i, as d + 1 integers. Raises as `quantise`."""
        step, said = self.grid * self.heaviest, np.array([self.clip * weight])
        out = np.empty(total.size + 1, dtype=np.uint32)
        quantise(total, step, seed, out[:-1])
        quantise(said, step, derived(seed, "didymos/sa-weight-rounding/v1"), out[-1:])
        return out

    def decode(self, total: U32) -> tuple[F64, float]:
        """The sum of w_i x_i (d,) and the sum of w_i, from d + 1 integers."""
        whole = dequantise(total, self.grid)
        whole *= self.heaviest
        return whole[:-1], float(whole[-1]) / self.clip


def vector_bytes(vector: U32) -> bytes:
    """Little-endian, 4 bytes a coordinate."""
    return vector.astype("<u4", copy=False).tobytes()


def vector_view(raw: bytes, dim: int) -> U32:
    """Raises PrivacyError `privacy.vector_mismatched` unless `raw` has 4 bytes for each of `dim` coordinates."""
    if len(raw) != 4 * dim:
        raise PrivacyError("privacy.vector_mismatched", f"{len(raw)} bytes, {4 * dim} expected")
    return np.frombuffer(raw, dtype="<u4")
