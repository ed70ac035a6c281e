"""Coordinate-wise median and trimmed mean (arXiv 1803.01498): they look at single updates, so never under masks."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from didymos_learning.errors import LearningError
from didymos_learning.strategies.means import stepped
from didymos_learning.strategies.strategy import ByIndividual, ServerState, Settings
from didymos_learning.vector import Flat, Wide

BLOCK: Final = 65_536  # coordinates at a time: memory is n * BLOCK, whatever d is


def _by_block(
    state: ServerState, updates: Sequence[Flat], middle: Callable[[NDArray[np.float64]], Wide]
) -> ServerState:
    size = state.params.size
    if not updates:
        raise LearningError("training.cohort_too_small", count=0)
    for update in updates:
        if update.shape != (size,):
            raise LearningError("training.layout_mismatched", expected=size, actual=update.shape)
        if not np.isfinite(update).all():
            raise LearningError("training.update_not_finite")
    step = np.empty(size)
    for begin in range(0, size, BLOCK):
        block = np.stack([update[begin : begin + BLOCK].astype(np.float64) for update in updates])
        step[begin : begin + BLOCK] = middle(block)
    return ServerState(stepped(state.params, step))


def _median(state: ServerState, updates: Sequence[Flat], _: Settings) -> ServerState:
    return _by_block(state, updates, lambda block: np.median(block, axis=0))


def _trimmed(state: ServerState, updates: Sequence[Flat], settings: Settings) -> ServerState:
    cut = int(settings["share"] * len(updates))
    if not 0 <= 2 * cut < len(updates):
        raise LearningError("training.strategy_unknown", name="trimmed-mean", setting="share")
    return _by_block(
        state, updates, lambda block: np.sort(block, axis=0)[cut : len(updates) - cut].mean(axis=0, dtype=np.float64)
    )


MEDIAN = ByIndividual("median", {}, ServerState, _median)
TRIMMED_MEAN = ByIndividual("trimmed-mean", {"share": 0.1}, ServerState, _trimmed)
