"""The quality formula over all n readings of a batch at once. data-path.md 6.

From batch and profile alone, so every pod gives the same. Most batches are clean, so each dimension first asks whether
it takes anything off at all. `np.count_nonzero` and plain slices stand for `any` and `diff`: they cost a fifth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from math import floor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from didymos_readings.outliers import outlier_shares
from didymos_readings.quality import (
    ASSURANCE_SHARES,
    CONSISTENCY_PARTS,
    FLAT_N,
    MAX_RATE,
    NOT_SCORED,
    ON_TIME,
    PER_HIGH,
    PER_LOW,
    SLACK,
    SOFT_HIGH,
    SOFT_LOW,
    Assurance,
    BlockScore,
    Bytes,
    Flag,
    Floats,
    Scores,
    weights_of,
)
from didymos_readings.ruling import KEPT, Integers, Layout, Ruling

FLAT_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Series:
    """What is scored: values (n,), the rules over them, first and last time us of each block.

    `times`: of each reading (n,), which a clean and punctual batch is never asked for.
    """

    values: Floats
    ruling: Ruling
    bounds: tuple[Sequence[int], Sequence[int]]
    times: Callable[[], Integers]


def score(series: Series, received_at_us: int, assurance: Assurance, *, backfill: bool) -> Scores:
    """The quality of each reading: 100 * prod(share^weight), rounded half to even."""
    ruling, flags = series.ruling, np.zeros(len(series.values), np.uint8)
    if backfill:
        flags += np.uint8(Flag.BACKFILL)
    shares: dict[str, Floats] = {}
    if ruling.soft:
        _range(series, shares, flags)
    if ruling.changing:
        _changes_in_time(series, shares, flags)
    if ruling.judged:
        _outliers(series, shares, flags)
    if not backfill and received_at_us - min(series.bounds[0]) > ruling.on_time_us:
        _timeliness(series, received_at_us, shares, flags)
    common = (
        _timed(series, assurance, backfill=backfill)
        if ruling.periodic
        else _untimed(ruling.consistent, assurance, backfill=backfill)
    )
    quality = _combined(ruling, shares, common) if shares else common.quality.repeat(ruling.layout.spread)
    return Scores(quality, flags, common.completeness, shares, common.blocks, ruling.layout.counts)


def _range(series: Series, shares: dict[str, Floats], flags: Bytes) -> None:
    """1 within the soft bounds, straight down to 0 at the hard ones."""
    table = series.ruling.table
    lost = np.maximum(
        (table[SOFT_LOW] - series.values) * table[PER_LOW], (series.values - table[SOFT_HIGH]) * table[PER_HIGH]
    )
    outside = lost > 0
    if np.count_nonzero(outside):
        shares["range"] = 1 - lost.clip(0, 1)
        flags[outside] |= np.uint8(Flag.SOFT)


def _changes_in_time(series: Series, shares: dict[str, Floats], flags: Bytes) -> None:
    t_us = series.times()
    steps = t_us[1:] - t_us[:-1]
    steps[series.ruling.layout.joints] = 0
    if not np.count_nonzero(steps < 0):
        _changes(series, steps, series.values, None, shares, flags)
    else:
        order, back = _time_order(t_us, series.ruling.layout)
        t_us = t_us[order]
        _changes(series, t_us[1:] - t_us[:-1], series.values[order], back, shares, flags)


def _changes(
    series: Series,
    steps: Integers,
    values: Floats,
    back: Integers | None,
    shares: dict[str, Floats],
    flags: Bytes,
) -> None:
    """Rate and flatness against the reading before in time within the block; `back` undoes the order of time.

    The rules are the same all over a block, so the table needs no reordering.
    """
    layout, table = series.ruling.layout, series.ruling.table
    change = np.abs(values[1:] - values[:-1])
    found: dict[Flag, tuple[str, Floats]] = {}
    if series.ruling.rated:
        allowed = table[MAX_RATE][1:] * steps + table[SLACK][1:]
        allowed[layout.joints] = np.inf
        fast = change > allowed
        if np.count_nonzero(fast):
            share = np.ones(len(values))
            np.divide(allowed, change, out=share[1:], where=fast)
            found[Flag.RATE] = ("rate", share)
    shortest = series.ruling.shortest
    if shortest <= max(layout.counts):
        same = change == 0
        same[layout.joints] = False
        if np.count_nonzero(same) >= shortest - 1:
            still = _runs(same) >= table[FLAT_N]
            if np.count_nonzero(still):
                found[Flag.FLAT] = ("flat", np.where(still, FLAT_SHARE, 1.0))
    for flag, (name, share) in found.items():
        shares[name] = share if back is None else share[back]
        flags[shares[name] < 1] |= np.uint8(flag)


def _runs(same: NDArray[np.bool_]) -> Integers:
    """How long the run of equal values is that each reading belongs to; `same` compares each with the one before."""
    edges = np.flatnonzero(np.concatenate(([True], ~same, [True])))
    lengths = edges[1:] - edges[:-1]
    return lengths.repeat(lengths)


def _outliers(series: Series, shares: dict[str, Floats], flags: Bytes) -> None:
    ruling = series.ruling
    found = outlier_shares(series.values, ruling.layout.counts, ruling.layout.spread, ruling.outliers)
    if found is not None:
        shares["outlier"] = found
        flags[found < 1] |= np.uint8(Flag.OUTLIER)


def _timeliness(series: Series, received_at_us: int, shares: dict[str, Floats], flags: Bytes) -> None:
    lag, limit = received_at_us - series.times(), series.ruling.table[ON_TIME]
    late = lag > limit
    if np.count_nonzero(late):
        times_over = np.divide(lag, limit, out=np.ones(len(lag)), where=late)
        shares["timeliness"] = np.maximum(0.0, 1 - np.log2(times_over) / 10)
        flags[late] |= np.uint8(Flag.LATE)


@dataclass(frozen=True, slots=True)
class _Common:
    """What the readings of each of k blocks have in common, and `quality` (k,), their score while they lose nothing."""

    blocks: tuple[BlockScore, ...]
    completeness: tuple[int, ...]
    shares: tuple[float, ...]  # assurance^weight * completeness^weight
    quality: Bytes


def _timed(series: Series, assurance: Assurance, *, backfill: bool) -> _Common:
    """Where a period says how many readings there should be: last less first time of each block."""
    ruling, found = series.ruling, []
    for rule, count, first, last in zip(ruling.rules, ruling.layout.counts, *series.bounds, strict=True):
        complete = None
        if rule.period_us and count > 1:
            complete = min(1.0, count / (floor((last - first) / rule.period_us) + 1))
        weights = _weights((rule.consistency, not backfill, complete is not None, True))
        found.append(BlockScore(weights, complete, ASSURANCE_SHARES[assurance]))
    return _common(tuple(found))


@lru_cache(KEPT)
def _untimed(consistent: tuple[bool, ...], assurance: Assurance, *, backfill: bool) -> _Common:
    """Where none does: the same for every batch of these blocks."""
    share = ASSURANCE_SHARES[assurance]
    return _common(tuple(BlockScore(_weights((each, not backfill, False, True)), None, share) for each in consistent))


def _common(blocks: tuple[BlockScore, ...]) -> _Common:
    completeness = tuple(
        [NOT_SCORED if block.completeness is None else round(100 * block.completeness) for block in blocks]
    )
    shares = tuple(
        [
            block.assurance ** block.weights["assurance"]
            * (1.0 if block.completeness is None else block.completeness ** block.weights["completeness"])
            for block in blocks
        ]
    )
    return _Common(blocks, completeness, shares, np.array([round(100 * each) for each in shares], np.uint8))


_weights = cache(weights_of)


def _combined(ruling: Ruling, shares: dict[str, Floats], common: _Common) -> Bytes:
    spread, blocks = ruling.layout.spread, common.blocks
    total = np.array(common.shares).repeat(spread)
    consistency = [shares[name] for name in CONSISTENCY_PARTS if name in shares]
    if consistency:
        weight = np.array([block.weights.get("consistency", 0.0) for block in blocks]).repeat(spread)
        total *= np.minimum.reduce(consistency) ** weight
    if "timeliness" in shares:
        weight = np.array([block.weights["timeliness"] for block in blocks]).repeat(spread)
        total *= shares["timeliness"] ** weight
    quality: Bytes = np.rint(100 * total).astype(np.uint8)
    return quality


def _time_order(t_us: Integers, layout: Layout) -> tuple[Integers, Integers]:
    """The order of time within each block, equal times as sent, and the way back."""
    block = np.arange(len(layout.counts)).repeat(layout.spread)
    order = np.lexsort((t_us, block))
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return order, back
