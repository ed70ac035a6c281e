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
from didymos_privacy.kdf import random_bytes

U32: TypeAlias = NDArray[np.uint32]
F64: TypeAlias = NDArray[np.float64]
Real: TypeAlias = NDArray[np.floating[Any]]
MOST_BITS: Final = 20
SIGNAL_BITS: Final = 30
_HALF: Final = float(2**31)


def grid_step(clip: float, subjects: int) -> float:
    """The width of one step: clip / 2^min(20, 30 - ceil(log2 subjects)), so that all subjects together stay in 2^30."""
    if not 1 <= subjects <= 1 << SIGNAL_BITS or not np.isfinite(clip) or clip <= 0:
        raise PrivacyError("privacy.vector_mismatched", "a positive clip and at least one subject", subjects=subjects)
    return clip / float(2 ** min(MOST_BITS, SIGNAL_BITS - ceil(log2(subjects))))


def quantise(x: Real, grid: float, seed: bytes) -> U32:
    """x (d,) as whole steps of `grid`, rounded at random without bias, in two's complement. `seed`: 32 secret bytes.

    Raises PrivacyError `privacy.vector_mismatched` for what is not finite or does not fit.
    """
    steps = np.divide(x, grid, dtype=np.float64)
    coins = np.frombuffer(random_bytes(seed, 4 * steps.size), dtype="<u4")
    steps += np.multiply(coins, 2.0**-32, dtype=np.float64)
    np.floor(steps, out=steps)
    if not np.isfinite(steps).all() or (steps.size and float(np.abs(steps).max()) >= _HALF):
        raise PrivacyError("privacy.vector_mismatched", "a coordinate that is not finite, or over the bound")
    return steps.astype(np.int32).view(np.uint32)


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
        whole = np.append(np.asarray(total, dtype=np.float64), self.clip * weight)
        whole /= self.heaviest
        return quantise(whole, self.grid, seed)

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
