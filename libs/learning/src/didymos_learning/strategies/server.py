"""Adaptive steps of the server on the weighted mean: FedAdam and FedYogi. arXiv 2003.00295."""

from collections.abc import Callable

import numpy as np

from didymos_learning.strategies.means import mean_update, stepped
from didymos_learning.strategies.strategy import BySum, ServerState, Settings, Total
from didymos_learning.vector import Flat, Wide


def _init(params: Flat, _settings: Settings) -> ServerState:
    return ServerState(params, (np.zeros_like(params), np.zeros_like(params)))


def _adaptive(second: Callable[[Wide, Wide, float], Wide]) -> Callable[[ServerState, Total, Settings], ServerState]:
    def apply(state: ServerState, total: Total, settings: Settings) -> ServerState:
        mean = mean_update(total, state.params.size)
        first = settings["b1"] * state.moments[0].astype(np.float64) + (1.0 - settings["b1"]) * mean
        scale = second(state.moments[1].astype(np.float64), mean * mean, settings["b2"])
        params = stepped(state.params, settings["lr"] * first / (np.sqrt(scale) + settings["tau"]))
        return ServerState(params, (first.astype(np.float32), scale.astype(np.float32)))

    return apply


def _adam(old: Wide, square: Wide, b2: float) -> Wide:
    return b2 * old + (1.0 - b2) * square


def _yogi(old: Wide, square: Wide, b2: float) -> Wide:
    return old - (1.0 - b2) * square * np.sign(old - square)


_DEFAULTS = {"lr": 0.01, "b1": 0.9, "b2": 0.99, "tau": 1e-3}
FEDADAM = BySum("fedadam", _DEFAULTS, _init, _adaptive(_adam))
FEDYOGI = BySum("fedyogi", _DEFAULTS, _init, _adaptive(_yogi))
