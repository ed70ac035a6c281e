"""The weighted mean: FedAvg (arXiv 1602.05629), FedProx (1812.06127), FedAvg with server momentum (1909.06335)."""

import numpy as np

from didymos_learning.errors import LearningError
from didymos_learning.strategies.strategy import BySum, ServerState, Settings, Total, alone
from didymos_learning.vector import Flat, Wide


def sum_of(total: Total, size: int) -> Wide:
    """The sum of the contributions (size,). Raises LearningError for a sum of nobody, or one that is not finite."""
    if total.vector.shape != (size,):
        raise LearningError("training.layout_mismatched", expected=size, actual=total.vector.shape)
    if not (total.weight > 0.0 and np.isfinite(total.weight) and total.count > 0):
        raise LearningError("training.cohort_too_small", count=total.count, weight=total.weight)
    if not np.isfinite(total.vector).all():
        raise LearningError("training.update_not_finite")
    return total.vector


def mean_update(total: Total, size: int) -> Wide:
    """D, the weighted mean of the updates (d,). Raises LearningError for a sum of nobody, or one that is not finite."""
    return sum_of(total, size) / total.weight


def stepped(params: Flat, step: Wide) -> Flat:
    """x + step, rounded to float32 once."""
    return (params.astype(np.float64) + step).astype(np.float32)


def _fedavg(state: ServerState, total: Total, settings: Settings) -> ServerState:
    return ServerState(stepped(state.params, settings["lr"] * mean_update(total, state.params.size)))


def _fedavgm(state: ServerState, total: Total, settings: Settings) -> ServerState:
    momentum = settings["momentum"] * state.moments[0].astype(np.float64) + mean_update(total, state.params.size)
    return ServerState(stepped(state.params, settings["lr"] * momentum), (momentum.astype(np.float32),))


FEDAVG = BySum("fedavg", {"lr": 1.0}, alone, _fedavg)
FEDPROX = BySum("fedprox", {"lr": 1.0}, alone, _fedavg)  # the pull `mu` is part of local training
FEDAVGM = BySum(
    "fedavgm",
    {"lr": 1.0, "momentum": 0.9},
    lambda params, _: ServerState(params, (np.zeros_like(params),)),
    _fedavgm,
)
