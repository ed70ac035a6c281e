"""Rows of a pack cut into parts that each fit a batch and its record in the log."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from didymos_readings import BATCH_BLOCKS, BATCH_READINGS, BATCH_TWINS, Row, RowBlocks, blocks_of
from numpy.typing import NDArray

PACK_READINGS: Final = 50_000
TEXT_BYTES: Final = 512 << 10  # of one part: a record of the log holds 960 KiB


@dataclass(frozen=True, slots=True)
class Part:
    """Blocks of one batch, and which record each of their readings came from, (n,). `timed`: their sender said when."""

    blocks: tuple[bytes, ...]
    records: NDArray[np.int64]
    timed: bool


def parts_of(rows: Sequence[Row]) -> list[Part]:
    """All rows in as few parts as the limits allow: those with a time first. Raises ReadingError of `blocks_of`."""
    found = []
    for timed in (True, False):
        for piece in _pieces([row for row in rows if row.timed is timed]):
            found += [Part(each.blocks, each.records, timed) for each in _fitting(piece)]
    return found


def _pieces(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    first, size, twins = 0, 0, set[str]()
    for at, row in enumerate(rows):
        weight = len(row.value) * 4 if isinstance(row.value, str) else 0
        full = at - first == BATCH_READINGS or size + weight > TEXT_BYTES or len(twins | {row.twin}) > BATCH_TWINS
        if full:
            yield rows[first:at]
            first, size, twins = at, 0, set()
        size += weight
        twins.add(row.twin)
    if first < len(rows):
        yield rows[first:]


def _fitting(rows: Sequence[Row]) -> Iterator[RowBlocks]:
    """Halved while there are more blocks than a batch holds: sparse readings fill few places of a block."""
    found = blocks_of(rows)
    if len(found.blocks) <= BATCH_BLOCKS:
        yield found
        return
    half = len(rows) // 2
    yield from _fitting(rows[:half])
    yield from _fitting(rows[half:])
