"""Rows: what decoders of foreign formats yield, and how rows become blocks. data-path.md 4."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_readings.block import BLOCK_READINGS, TEXT_BYTES, Column, Op, encode_block
from didymos_readings.device import pieces
from didymos_readings.errors import ReadingError, Refusal
from didymos_readings.profile import Profile

Point: TypeAlias = tuple[float, float, float]
Value: TypeAlias = float | bool | str | Point
Place: TypeAlias = Callable[[str], tuple[str, str] | None]
"""The (twin, property) that a sender's name stands for, by enrolment and profile; None if it stands for none."""
Subject: TypeAlias = Callable[[str], str | None]
"""The twin that a sender's name for it stands for; of the empty name the only twin of the device. None: no such."""


@dataclass(frozen=True, slots=True)
class Row:
    """One reading, or one that is taken back. `index`: of its record in the body; `unit`: UCUM, empty if none was said.

    `timed` False: its sender said no time, and it has that of its arrival. The value of a retraction only has a type.
    """

    index: int
    twin: str
    property: str
    unit: str
    observed_at_us: int
    value: Value
    op: Op = Op.READING
    timed: bool = True


def _nobody(_name: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class DecodeContext:
    """What a decoder may know beside the body. `about`, `at_us`: subject and time that an envelope around it gives."""

    now_us: int
    place: Place
    subject: Subject = _nobody
    profile: Profile | None = None
    about: str = ""
    at_us: int | None = None
    meanings: dict[str, str] = field(init=False, repr=False)  # property by semantic id of the profile

    def __post_init__(self) -> None:
        rules = () if self.profile is None else self.profile.properties.values()
        found = {meaning: rule.name for rule in rules for meaning in rule.semantic_ids}
        object.__setattr__(self, "meanings", found)


Decoder: TypeAlias = Callable[[bytes, DecodeContext], Iterator[Row | Refusal]]
"""Pure. A record that is not taken is a Refusal by its index; a body that cannot be read raises ReadingError."""


@dataclass(frozen=True, slots=True)
class RowBlocks:
    """Blocks of rows, and which record each running index of the blocks came from, (n,)."""

    blocks: tuple[bytes, ...]
    records: NDArray[np.int64]


def blocks_of(rows: Iterable[Row]) -> RowBlocks:
    """Rows of one (twin, property, unit, type, op) together, in the order of their first. Raises ReadingError."""
    groups: dict[tuple[str, str, str, type, Op], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.twin, row.property, row.unit, type(row.value), row.op), []).append(row)
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
        return Column(first.twin, first.property, first.unit, t_us, texts, first.op)
    dtype = np.bool_ if isinstance(first.value, bool) else np.float64
    values: NDArray[Any] = np.array([row.value for row in rows], dtype)
    return Column(first.twin, first.property, first.unit, t_us, values, first.op)
