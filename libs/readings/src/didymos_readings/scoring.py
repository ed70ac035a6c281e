"""The quality formula over all n readings of a batch at once. data-path.md 6.

From batch and profile alone, so every pod gives the same. Most batches are clean, so each dimension first asks whether
it takes anything off at all. `np.count_nonzero` and plain slices stand for `any` and `diff`: they cost a fifth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
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
from didymos_readings.ruling import Integers, Ruling

FLAT_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Series:
    """What is scored: values (n,), times us (n,), and the rules over them."""

    values: Floats
    t_us: Integers
    ruling: Ruling


def score(series: Series, received_at_us: int, assurance: Assurance, *, backfill: bool) -> Scores:
    """The quality of each reading: 100 * prod(share^weight), rounded half to even."""
    flags = np.zeros(len(series.values), np.uint8)
    if backfill:
        flags += np.uint8(Flag.BACKFILL)
    shares: dict[str, Floats] = {}
    steps = series.t_us[1:] - series.t_us[:-1]
    steps[series.ruling.layout.joints] = 0
    ordered = not np.count_nonzero(steps < 0)
    _range(series, shares, flags)
    if ordered:
        _changes(series, steps, series.values, None, shares, flags)
    else:
        order, back = _time_order(series)
        t_us = series.t_us[order]
        _changes(series, t_us[1:] - t_us[:-1], series.values[order], back, shares, flags)
    _outliers(series, shares, flags)
    if not backfill:
        _timeliness(series, received_at_us, shares, flags)
    blocks = _block_scores(series, assurance, ordered=ordered, backfill=backfill)
    completeness = tuple(
        NOT_SCORED if block.completeness is None else round(100 * block.completeness) for block in blocks
    )
    return Scores(_combined(series, shares, blocks), flags, completeness, shares, blocks, series.ruling.layout.counts)


def _range(series: Series, shares: dict[str, Floats], flags: Bytes) -> None:
    """1 within the soft bounds, straight down to 0 at the hard ones."""
    if not series.ruling.soft:
        return
    table = series.ruling.table
    lost = np.maximum(
        (table[SOFT_LOW] - series.values) * table[PER_LOW], (series.values - table[SOFT_HIGH]) * table[PER_HIGH]
    )
    outside = lost > 0
    if np.count_nonzero(outside):
        shares["range"] = 1 - lost.clip(0, 1)
        flags[outside] |= np.uint8(Flag.SOFT)


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
    if not ruling.judged:
        return
    found = outlier_shares(series.values, ruling.layout.counts, ruling.layout.spread, ruling.outliers)
    if found is not None:
        shares["outlier"] = found
        flags[found < 1] |= np.uint8(Flag.OUTLIER)


def _timeliness(series: Series, received_at_us: int, shares: dict[str, Floats], flags: Bytes) -> None:
    lag, limit = received_at_us - series.t_us, series.ruling.table[ON_TIME]
    late = lag > limit
    if np.count_nonzero(late):
        times_over = np.divide(lag, limit, out=np.ones(len(lag)), where=late)
        shares["timeliness"] = np.maximum(0.0, 1 - np.log2(times_over) / 10)
        flags[late] |= np.uint8(Flag.LATE)


def _block_scores(series: Series, assurance: Assurance, *, ordered: bool, backfill: bool) -> tuple[BlockScore, ...]:
    counts = series.ruling.layout.counts
    spans = _spans(series, ordered=ordered) if series.ruling.periodic else [0] * len(counts)
    share = ASSURANCE_SHARES[assurance]
    found = []
    for rule, count, span in zip(series.ruling.rules, counts, spans, strict=True):
        complete = None
        if rule.period_us and count > 1:
            complete = min(1.0, count / (floor(span / rule.period_us) + 1))
        weights = _weights((rule.consistency, not backfill, complete is not None, True))
        found.append(BlockScore(weights, complete, share))
    return tuple(found)


_weights = cache(weights_of)


def _spans(series: Series, *, ordered: bool) -> list[int]:
    """Last less first time of each block."""
    layout, t_us = series.ruling.layout, series.t_us
    if ordered:
        spans = t_us[layout.lasts] - t_us[layout.firsts]
    else:
        spans = np.maximum.reduceat(t_us, layout.firsts) - np.minimum.reduceat(t_us, layout.firsts)
    return [int(span) for span in spans]


def _combined(series: Series, shares: dict[str, Floats], blocks: Sequence[BlockScore]) -> Bytes:
    common = [
        block.assurance ** block.weights["assurance"]
        * (1.0 if block.completeness is None else block.completeness ** block.weights["completeness"])
        for block in blocks
    ]
    spread = series.ruling.layout.spread
    if not shares:
        return np.array([round(100 * each) for each in common], np.uint8).repeat(spread)
    total = np.array(common).repeat(spread)
    consistency = [shares[name] for name in CONSISTENCY_PARTS if name in shares]
    if consistency:
        weight = np.array([block.weights.get("consistency", 0.0) for block in blocks]).repeat(spread)
        total *= np.minimum.reduce(consistency) ** weight
    if "timeliness" in shares:
        weight = np.array([block.weights["timeliness"] for block in blocks]).repeat(spread)
        total *= shares["timeliness"] ** weight
    quality: Bytes = np.rint(100 * total).astype(np.uint8)
    return quality


def _time_order(series: Series) -> tuple[Integers, Integers]:
    """The order of time within each block, equal times as sent, and the way back."""
    block = np.arange(len(series.ruling.layout.counts)).repeat(series.ruling.layout.spread)
    order = np.lexsort((series.t_us, block))
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return order, back
