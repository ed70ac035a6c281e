"""What devices measure, without an end: the shapes of data-path.md 2, and now and then a correction."""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from didymos_did import TwinId
from didymos_readings import Column

PROFILE: Final = "generic@1"
UNIT: Final = "L/min"
PERIOD_US: Final = 1_000_000
BEGIN_US: Final = 30 * 86_400 * 1_000_000  # so long ago; a device sends what it stored
CORRECTED: Final = 0.1  # of the batches say other values for times of the batch before: the later number holds


@dataclass(frozen=True, slots=True)
class Shape:
    """A batch: `blocks` of `readings` each, over `twins` twins."""

    name: str
    twins: int
    blocks: int
    readings: int

    @property
    def size(self) -> int:
        return self.blocks * self.readings

    def narrowed(self, twins: int) -> "Shape":
        """The same for a smaller gateway: a block a twin stays a block a twin."""
        if self.twins == 1 or twins >= self.twins:
            return self
        return replace(self, twins=twins, blocks=self.blocks * twins // self.twins)


SHAPES: Final = {each.name: each for each in (Shape("D", 1, 5, 20), Shape("G", 100, 100, 1), Shape("S", 100, 100, 5))}


class Measured(NamedTuple):
    """Columns of one batch. `due_s`: when to send them, counted from the first; 0: as soon as there is room."""

    columns: tuple[Column, ...]
    due_s: float = 0.0


def measured(shape: Shape, twins: Sequence[TwinId], seed: str) -> Iterator[Measured]:
    """A second between readings of a property; values from a seed."""
    values, turns = np.random.default_rng(list(seed.encode())), random.Random(seed)
    begin_us, number = time.time_ns() // 1000 - BEGIN_US, 0
    while True:
        corrects = number > 0 and turns.random() < CORRECTED
        first = (number - corrects) * shape.readings
        t_us = begin_us + np.arange(first, first + shape.readings, dtype=np.int64) * PERIOD_US
        yield Measured(
            tuple(
                Column(twins[at % len(twins)], f"pump/flow{at // len(twins)}", UNIT, t_us, drawn)
                for at, drawn in enumerate(values.normal(100.0, 5.0, (shape.blocks, shape.readings)))
            )
        )
        number += not corrects
