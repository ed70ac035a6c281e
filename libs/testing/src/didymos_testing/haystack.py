"""A search for readings in bytes that were sent: three in a row, in any form that they could plainly stand in."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROW: Final = 3
PIECE: Final = 6  # bytes that are made one number
FACTORS: Final = tuple(np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 1))
FLOATS: Final = ("f4", "f8")
INTEGERS: Final = ("i2", "i4", "i8")
SIZES: Final = tuple({ROW * np.dtype(code).itemsize for code in (*FLOATS, *INTEGERS)})
_RUN = re.compile(rb"[0-9.,; \t\n]{5,}")
_NUMBER = re.compile(rb"[0-9]+(?:\.[0-9]+)?")


class Haystack:
    """Bytes that were sent: a number for every stretch as long as a needle, and the figures written in them."""

    def __init__(self, sent: bytes) -> None:
        self._sent = sent
        pieces = _pieces(np.lib.stride_tricks.sliding_window_view(np.frombuffer(sent, np.uint8), PIECE))
        self._known = {size: _stretches(pieces, size // PIECE) for size in SIZES}
        runs = [[float(each) for each in _NUMBER.findall(run)] for run in _RUN.findall(sent)]
        written = np.array([number for run in runs for number in (*run, np.nan)])
        self._written = set(map(tuple, _triples(written).tolist()))

    def found(self, series: ArrayLike) -> NDArray[np.intp]:
        """Where in the (n,) series three readings begin that stand in the bytes one behind the other."""
        values = np.asarray(series, np.float64)
        rows = [self._as_text(values)]
        for order in "<>":
            rows += [self._as_binary(values.astype(order + code)) for code in FLOATS]
            for whole in (values, values * 10):
                rows += [self._as_binary(np.rint(whole).astype(order + code)) for code in INTEGERS]
        return np.unique(np.concatenate(rows))

    def _as_binary(self, packed: NDArray[np.generic]) -> NDArray[np.intp]:
        raw = np.ascontiguousarray(packed).view(np.uint8).reshape(packed.size, packed.itemsize)
        needles = np.concatenate([raw[at : packed.size - ROW + 1 + at] for at in range(ROW)], axis=1)
        count = needles.shape[1] // PIECE
        columns = _pieces(needles.reshape(-1, PIECE)).reshape(-1, count).T
        wanted, known = _hashed([*columns]), self._known[needles.shape[1]]
        likely = np.flatnonzero(known[np.searchsorted(known, wanted).clip(max=known.size - 1)] == wanted)
        return np.array([row for row in likely if needles[row].tobytes() in self._sent], np.intp)

    def _as_text(self, values: NDArray[np.float64]) -> NDArray[np.intp]:
        forms = (values, np.rint(values), np.array([float(f"{value:g}") for value in values.tolist()]))
        return np.array([
            row
            for form in forms
            for row, triple in enumerate(_triples(form).tolist())
            if tuple(triple) in self._written
        ], np.intp)  # fmt: skip


def _triples(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n - 2, 3): each three that follow each other; none for fewer than three."""
    if numbers.size < ROW:
        return np.empty((0, ROW))
    return np.lib.stride_tricks.sliding_window_view(numbers, ROW)


def _pieces(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The six bytes of each row as one number."""
    powers = np.uint64(1) << (np.arange(PIECE, dtype=np.uint64) * np.uint64(8))
    found = np.zeros(len(rows), np.uint64)
    for at in range(PIECE):
        found += rows[:, at].astype(np.uint64) * powers[at]
    return found


def _stretches(pieces: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """A number for `count` pieces one behind the other, from each byte on; sorted, each once."""
    size = max(pieces.size - (count - 1) * PIECE, 0)
    return np.unique(_hashed([pieces[at * PIECE : at * PIECE + size] for at in range(count)]))


def _hashed(columns: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    found = np.zeros(columns[0].size, np.uint64)
    for column, factor in zip(columns, FACTORS, strict=False):
        found += column * factor
    return found
