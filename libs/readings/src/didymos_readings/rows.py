"""Rows: what decoders of foreign formats yield, and how rows become blocks. data-path.md 4."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_readings.block import BLOCK_READINGS, TEXT_BYTES, Column, encode_block
from didymos_readings.device import pieces
from didymos_readings.errors import ReadingError

Value: TypeAlias = float | bool | str
Place: TypeAlias = Callable[[str], tuple[str, str] | None]
"""The (twin, property) that a sender's name stands for, by enrolment and profile; None if it stands for none."""


@dataclass(frozen=True, slots=True)
class Row:
    """One reading. `index`: of its record in the body; `unit`: UCUM, empty if none was said."""

    index: int
    twin: str
    property: str
    unit: str
    observed_at_us: int
    value: Value


@dataclass(frozen=True, slots=True)
class DecodeContext:
    """What a decoder may know beside the body."""

    now_us: int
    place: Place


@dataclass(frozen=True, slots=True)
class RowBlocks:
    """Blocks of rows, and which record each running index of the blocks came from, (n,)."""

    blocks: tuple[bytes, ...]
    records: NDArray[np.int64]


def blocks_of(rows: Iterable[Row]) -> RowBlocks:
    """Rows of one (twin, property, unit, type) together, in the order of their first. Raises ReadingError."""
    groups: dict[tuple[str, str, str, type], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.twin, row.property, row.unit, type(row.value)), []).append(row)
    blocks: list[bytes] = []
    records: list[int] = []
    for group in groups.values():
        records += [row.index for row in group]
        for first in range(0, len(group), BLOCK_READINGS):
            blocks += [encode_block(piece) for piece in pieces([_column(group[first : first + BLOCK_READINGS])])]
    return RowBlocks(tuple(blocks), np.array(records, np.int64))


def _column(rows: list[Row]) -> Column:
    first = rows[0]
    t_us = np.array([row.observed_at_us for row in rows], np.int64)
    texts = tuple(row.value for row in rows if isinstance(row.value, str))
    if texts:
        if any(len(text.encode()) > TEXT_BYTES for text in texts):
            raise ReadingError("batch.malformed", "a text has at most 1 KiB")
        return Column(first.twin, first.property, first.unit, t_us, texts)
    dtype = np.bool_ if isinstance(first.value, bool) else np.float64
    return Column(first.twin, first.property, first.unit, t_us, np.array([row.value for row in rows], dtype))
