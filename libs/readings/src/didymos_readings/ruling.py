"""The rules of a batch's k blocks laid over its n readings, once for each shape: devices send few of them."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from sys import float_info
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_readings.quality import RULE_COLUMNS, Floats, Rule

OUTLIER_READINGS: Final = 16
KEPT: Final = 128  # shapes
KEPT_READINGS: Final = 2048  # of one shape: 80 bytes each

Integers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Layout:
    """k blocks, none empty, one after another in arrays of n readings. Nobody writes into its arrays."""

    counts: tuple[int, ...]
    starts: tuple[int, ...]
    spread: int | Integers  # how often to repeat a value per block
    firsts: Integers  # (k,): each block's first reading
    lasts: Integers
    joints: Integers  # (k - 1,): i where readings i and i + 1 belong to different blocks


@lru_cache(KEPT)
def layout_of(counts: tuple[int, ...]) -> Layout:
    ends = tuple(accumulate(counts))
    even = counts.count(counts[0]) == len(counts)
    spread = counts[0] if even else np.array(counts, np.int64)
    starts = (0, *ends[:-1])
    firsts, lasts = np.array(starts, np.int64), np.array(ends, np.int64) - 1
    return Layout(counts, starts, spread, firsts, lasts, lasts[:-1])


@dataclass(frozen=True, slots=True, eq=False)
class Ruling:
    """`table` (10, n): the rule columns of each reading, read only. The rest says which dimensions need a look."""

    rules: tuple[Rule, ...]
    layout: Layout
    table: Floats
    consistent: tuple[bool, ...]  # of each block: whether consistency is scored
    bounded: bool  # some hard bound is less than all finite numbers
    soft: bool
    rated: bool
    shortest: float  # run of equal values that is flat, over all blocks
    changing: bool  # whether rate or flatness can bite: else nobody asks for the order of time
    outliers: tuple[bool, ...]  # of each block
    judged: bool  # whether any block is looked at for outliers
    periodic: bool
    on_time_us: float  # a lag up to this is late nowhere


def ruling_of(rules: tuple[Rule, ...], counts: tuple[int, ...]) -> Ruling:
    """Of k blocks with these rules (by identity: those of a profile are made once) and numbers of readings."""
    return _known(rules, counts) if sum(counts) <= KEPT_READINGS else _ruling(rules, counts)


def _ruling(rules: tuple[Rule, ...], counts: tuple[int, ...]) -> Ruling:
    layout = layout_of(counts)
    packed = np.frombuffer(b"".join([rule.packed for rule in rules]))
    table = packed.reshape(len(rules), RULE_COLUMNS).T.repeat(layout.spread, axis=1)
    rated, shortest = any(not rule.slack for rule in rules), min(rule.flat_n for rule in rules)
    outliers = tuple(rule.outliers and n >= OUTLIER_READINGS for rule, n in zip(rules, counts, strict=True))
    return Ruling(
        rules, layout, table,
        consistent=tuple(rule.consistency for rule in rules),
        bounded=any(rule.low > -float_info.max or rule.high < float_info.max for rule in rules),
        soft=any(rule.per_low or rule.per_high for rule in rules),
        rated=rated, shortest=shortest, changing=rated or shortest <= max(counts),
        outliers=outliers, judged=any(outliers),
        periodic=any(rule.period_us and n > 1 for rule, n in zip(rules, counts, strict=True)),
        on_time_us=min(rule.on_time_us for rule in rules),
    )  # fmt: skip


_known = lru_cache(KEPT)(_ruling)
