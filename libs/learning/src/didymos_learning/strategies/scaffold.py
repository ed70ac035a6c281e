"""SCAFFOLD: every step of a client is corrected by the difference of two control variates. arXiv 1910.06378, option II.

A client adds c - c_i to its gradients and keeps c_i' = c_i - c + (x - y) / (K lr). Its contribution has width 2 d: the
weighted update, and c_i' - c_i beside it. Local training is SGD, for which the correction was derived.
"""

import numpy as np

from didymos_learning.strategies.means import stepped, sum_of
from didymos_learning.strategies.strategy import Broadcast, BySum, Contribution, Local, ServerState, Settings, Total
from didymos_learning.vector import Flat, clipped


def _contribute(
    local: Local, params: Flat, broadcast: Broadcast, state: Flat | None, _settings: Settings
) -> Contribution:
    (control,) = broadcast
    own = np.zeros_like(control) if state is None else state
    reached = local.train(params, drift=control - own)
    kept = own - control + (params - reached.params) / np.float32(reached.steps * local.rate)
    update = clipped(reached.params - params, local.clip)
    vector = np.concatenate([np.multiply(update, np.float32(local.weight)), kept - own])
    return Contribution(vector, local.weight, update, reached.loss, kept)


def _apply(state: ServerState, total: Total, settings: Settings) -> ServerState:
    """x += lr D; c += n/N of the mean change of controls, N the `population` (0: all took part)."""
    size = state.params.size
    both = sum_of(total, 2 * size)
    params = stepped(state.params, settings["lr"] * both[:size] / total.weight)
    control = stepped(state.moments[0], both[size:] / max(settings["population"], total.count))
    return ServerState(params, (control,))


SCAFFOLD = BySum(
    "scaffold",
    {"lr": 1.0, "population": 0.0},
    lambda params, _: ServerState(params, (np.zeros_like(params),)),
    _apply,
    contribute=_contribute,
    width=lambda size, _: 2 * size,
    broadcast=lambda state: state.moments,
    unmasked="its control variates have no bound, and masked integers need one",
    optimisers=("sgd",),
    keeps=True,
)
