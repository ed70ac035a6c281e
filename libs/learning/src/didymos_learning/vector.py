"""Parameters and updates as one flat array, and the sums over them. ADR 30.

A vector travels as its d little-endian float32. Sums run in float64 in the order given, so the bits of a result depend
on the order of its parts and on nothing else: not on threads, machines of one class, or what was resumed.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_learning.errors import LearningError

Flat: TypeAlias = NDArray[np.float32]  # (d,) C-contiguous
Wide: TypeAlias = NDArray[np.float64]  # (d,), the work space of a sum


def flat_view(raw: bytes, size: int) -> Flat:
    """d = `size` little-endian float32 in `raw`, as a read-only view. Raises LearningError unless it has 4 d bytes."""
    if len(raw) != 4 * size:
        raise LearningError("training.layout_mismatched", expected=4 * size, actual=len(raw))
    return np.frombuffer(raw, dtype="<f4")


def flat_bytes(flat: Flat) -> bytes:
    """The 4 d bytes that `flat_view` reads."""
    return flat.astype("<f4", copy=False).tobytes()


def ordered_sum(parts: Iterable[Flat], size: int) -> Wide:
    """The sum of n parts (d,) in the given order, in float64: totals of chunks by ascending index. learning.md 5.

    Raises LearningError `training.layout_mismatched` for a part of another length.
    """
    total = np.zeros(size)
    for part in parts:
        if part.shape != (size,):
            raise LearningError("training.layout_mismatched", expected=size, actual=part.shape)
        total += part
    return total


def weighted_mean(updates: Iterable[Flat], weights: Sequence[float], size: int) -> Flat:
    """sum(w_i x_i) / sum(w_i) of n updates (d,), added in the given order: resume gives equal bits (learning.md 5)."""
    total, term = np.zeros(size), np.empty(size)  # float64: all the work space, whatever n is
    for update, weight in zip(updates, weights, strict=True):
        total += np.multiply(update, weight, out=term, dtype=np.float64)
    total /= sum(weights)
    return total.astype(np.float32)


def norm(flat: Flat) -> float:
    """The L2 norm, computed in float64."""
    return float(np.sqrt(np.square(flat, dtype=np.float64).sum()))


def clipped(update: Flat, bound: float | None) -> Flat:
    """`update`, shortened to L2 norm `bound` where it is longer. Raises LearningError `training.update_not_finite`."""
    length = norm(update)
    if not np.isfinite(length):
        raise LearningError("training.update_not_finite")
    if bound is None or length <= bound:
        return update
    return np.multiply(update, bound / length, dtype=np.float64).astype(np.float32)
