"""Robust outliers within blocks: the modified z-score of Iglewicz and Hoaglin (1993). data-path.md 6."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Z_LIMIT: Final = 3.5
MAD_TO_SIGMA: Final = 0.6745

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]


def outlier_shares(
    values: Floats, counts: Sequence[int], spread: int | Integers, wanted: Sequence[bool]
) -> Floats | None:
    """Share 0..1 of each of n readings in k blocks: 1 to |z| = 3.5, else 3.5 / |z|. None: all are 1.

    A block whose median deviation is 0 (half of it is one value) has no scale to judge by: its shares are 1.
    """
    if isinstance(spread, int) and not _suspicious(values.reshape(len(counts), spread), wanted):
        return None
    deviation = np.abs(values - block_medians(values, counts).repeat(spread))
    limit = block_medians(deviation, counts) * (Z_LIMIT / MAD_TO_SIGMA)
    judged = limit > 0
    if not all(wanted):
        judged &= wanted
    limit[~judged] = np.inf
    limits = limit.repeat(spread)
    far = deviation > limits
    if not np.count_nonzero(far):
        return None
    return np.divide(limits, deviation, out=np.ones_like(deviation), where=far)


def _suspicious(rows: Floats, wanted: Sequence[bool]) -> bool:
    """Whether any of k blocks of one size may hold an outlier: from the furthest value of each alone."""
    deviation = np.abs(rows - _row_medians(rows.copy())[:, None])
    limit = _row_medians(deviation) * (Z_LIMIT / MAD_TO_SIGMA)
    for furthest, allowed, judged in zip(deviation[:, -1].tolist(), limit.tolist(), wanted, strict=True):
        if judged and not (furthest <= allowed or allowed <= 0):  # NaN, of values that overflow, is not near
            return True
    return False


def _row_medians(rows: Floats) -> Floats:
    """(k,) medians of the rows, which are sorted in place."""
    size = rows.shape[1]
    rows.sort(axis=1)
    upper = rows[:, size // 2]
    return upper.copy() if size % 2 else (rows[:, size // 2 - 1] + upper) / 2


def block_medians(values: Floats, counts: Sequence[int]) -> Floats:
    """(k,) medians of k blocks, none empty."""
    first = counts[0]
    if counts.count(first) == len(counts):  # the common case, without a sort over two keys
        return _row_medians(values.reshape(len(counts), first).copy())
    lengths = np.array(counts, np.int64)
    block = np.arange(len(counts)).repeat(lengths)
    ordered = values[np.lexsort((values, block))]
    start = np.cumsum(lengths) - lengths
    lower, upper = ordered[start + (lengths - 1) // 2], ordered[start + lengths // 2]
    middle: Floats = (lower + upper) / 2
    return middle
