"""q-FFL by q-FedAvg: clients whose loss is high count for more. arXiv 1905.10497, algorithm 2.

With F the loss of the round's parameters at a client, u its update and L = 1 / rate, it gives w F^q L u, and in one
more coordinate w (q F^(q-1) L^2 |u|^2 + L F^q); the step is the sum of the first over that of the second. q = 0 is
FedAvg.
"""

from typing import Final

import numpy as np

from didymos_learning.errors import LearningError
from didymos_learning.strategies.means import stepped, sum_of
from didymos_learning.strategies.strategy import (
    Broadcast,
    BySum,
    Contribution,
    Local,
    ServerState,
    Settings,
    Total,
    alone,
)
from didymos_learning.vector import Flat, clipped, norm

LEAST: Final = 1e-10  # a loss of zero has no power below zero


def _contribute(
    local: Local, params: Flat, _broadcast: Broadcast, _state: Flat | None, settings: Settings
) -> Contribution:
    q, steep, loss = settings["q"], 1.0 / local.rate, max(local.loss(params), LEAST)
    reached = local.train(params)
    update = clipped(reached.params - params, local.clip)
    size = q * loss ** (q - 1.0) * (steep * norm(update)) ** 2 + steep * loss**q
    vector = np.empty(params.size + 1, dtype=np.float32)
    vector[:-1] = np.multiply(update, local.weight * steep * loss**q, dtype=np.float64)
    vector[-1] = local.weight * size
    return Contribution(vector, local.weight, update, reached.loss)


def _apply(state: ServerState, total: Total, settings: Settings) -> ServerState:
    both = sum_of(total, state.params.size + 1)
    if both[-1] <= 0.0:
        raise LearningError("training.layout_mismatched", detail="the sum of curvatures is not positive")
    return ServerState(stepped(state.params, settings["lr"] * both[:-1] / both[-1]))


Q_FFL = BySum(
    "q-ffl",
    {"lr": 1.0, "q": 1.0},
    alone,
    _apply,
    contribute=_contribute,
    width=lambda size, _: size + 1,
    unmasked="it weighs an update by its loss, which has no bound, and masked integers need one",
    bounds={"q": (0.0, 10.0)},
)
