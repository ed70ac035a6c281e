"""What looks at single updates, so never under masks: coordinate-wise median and trimmed mean (arXiv 1803.01498),
and multi-Krum (NeurIPS 2017, "Machine Learning with Adversaries", Blanchard et al.).
"""

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from didymos_learning.errors import LearningError
from didymos_learning.strategies.means import stepped
from didymos_learning.strategies.strategy import ByIndividual, ServerState, Settings, alone
from didymos_learning.vector import Flat, Wide

BLOCK: Final = 65_536  # coordinates at a time: memory is n * BLOCK, whatever d is


def _by_block(
    state: ServerState, updates: Sequence[Flat], middle: Callable[[NDArray[np.float64]], Wide]
) -> ServerState:
    step = np.empty(state.params.size)
    for begin, block in _blocks(updates, state.params.size):
        step[begin : begin + BLOCK] = middle(block)
    return ServerState(stepped(state.params, step))


def _blocks(updates: Sequence[Flat], size: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Where each block begins, and its coordinates of all updates (n, block). Raises LearningError for what is none."""
    if not updates:
        raise LearningError("training.cohort_too_small", count=0)
    for update in updates:
        if update.shape != (size,):
            raise LearningError("training.layout_mismatched", expected=size, actual=update.shape)
        if not np.isfinite(update).all():
            raise LearningError("training.update_not_finite")
    for begin in range(0, size, BLOCK):
        yield begin, np.stack([update[begin : begin + BLOCK].astype(np.float64) for update in updates])


def _median(state: ServerState, updates: Sequence[Flat], _: Settings) -> ServerState:
    return _by_block(state, updates, lambda block: np.median(block, axis=0))


def _trimmed(state: ServerState, updates: Sequence[Flat], settings: Settings) -> ServerState:
    cut = int(settings["share"] * len(updates))
    if not 0 <= 2 * cut < len(updates):
        raise LearningError("training.strategy_unknown", name="trimmed-mean", setting="share")
    return _by_block(
        state, updates, lambda block: np.sort(block, axis=0)[cut : len(updates) - cut].mean(axis=0, dtype=np.float64)
    )


def krum_order(updates: Sequence[Flat], bad: int) -> list[int]:
    """Indices of n updates (d,), the most central first: by the squared distances to the n - bad - 2 nearest others."""
    products = np.zeros((len(updates), len(updates)))
    for _, block in _blocks(updates, updates[0].size if updates else 0):
        products += block @ block.T
    squares = np.diag(products)
    apart = np.sort(squares[:, None] + squares[None, :] - 2.0 * products, axis=1)  # the first is the distance to itself
    near = max(len(updates) - bad - 2, 1)
    return [int(at) for at in np.argsort(apart[:, 1 : 1 + near].sum(axis=1), kind="stable")]


def _krum(state: ServerState, updates: Sequence[Flat], settings: Settings) -> ServerState:
    """The mean of the n - bad - 2 most central updates, or of `keep` of them; `bad` is `share` of n, rounded up."""
    bad = ceil(settings["share"] * len(updates))
    if len(updates) < 2 * bad + 3:
        raise LearningError("training.cohort_too_small", count=len(updates), needed=2 * bad + 3)
    kept = krum_order(updates, bad)[: int(settings["keep"]) or len(updates) - bad - 2]
    chosen = [updates[at] for at in sorted(kept)]
    return _by_block(state, chosen, lambda block: block.mean(axis=0, dtype=np.float64))


MEDIAN = ByIndividual("median", {}, alone, _median)
TRIMMED_MEAN = ByIndividual("trimmed-mean", {"share": 0.1}, alone, _trimmed)
MULTI_KRUM = ByIndividual(
    "multi-krum", {"share": 0.2, "keep": 0.0}, alone, _krum, {"share": (0.0, 0.5), "keep": (0.0, 1e6)}
)
