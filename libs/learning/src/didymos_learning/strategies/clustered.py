"""IFCA: two to four models; each client trains the one that fits it best. arXiv 2006.04088.

The first model is the run's parameters, the others are moments of the server; all begin equal, and whoever sees no
difference chooses by its own seed. A contribution has width C (d + 1): update and weight in the slot of its cluster,
zeros elsewhere. The client keeps the number of its cluster.
"""

import numpy as np

from didymos_learning.strategies.means import stepped, sum_of
from didymos_learning.strategies.strategy import Broadcast, BySum, Contribution, Local, ServerState, Settings, Total
from didymos_learning.vector import Flat, clipped


def _contribute(
    local: Local, params: Flat, broadcast: Broadcast, _state: Flat | None, _settings: Settings
) -> Contribution:
    models = (params, *broadcast)
    losses = [local.loss(model) for model in models]
    best = [at for at, loss in enumerate(losses) if loss == min(losses)]
    chosen = best[local.luck("cluster") % len(best)]
    reached = local.train(models[chosen])
    update = clipped(reached.params - models[chosen], local.clip)
    vector = np.zeros((len(models), params.size + 1), dtype=np.float32)
    vector[chosen, :-1] = np.multiply(update, np.float32(local.weight))
    vector[chosen, -1] = local.weight
    return Contribution(vector.reshape(-1), local.weight, update, reached.loss, np.array([chosen], dtype=np.float32))


def _apply(state: ServerState, total: Total, settings: Settings) -> ServerState:
    """Each model moves by the mean of those who chose it; one that nobody chose stays."""
    models = (state.params, *state.moments)
    slots = sum_of(total, len(models) * (state.params.size + 1)).reshape(len(models), -1)
    moved = [
        stepped(model, settings["lr"] * slot[:-1] / slot[-1]) if slot[-1] > 0.0 else model
        for model, slot in zip(models, slots, strict=True)
    ]
    return ServerState(moved[0], tuple(moved[1:]))


IFCA = BySum(
    "ifca",
    {"lr": 1.0, "clusters": 2.0},
    lambda params, settings: ServerState(params, (params,) * (int(settings["clusters"]) - 1)),
    _apply,
    contribute=_contribute,
    width=lambda size, settings: int(settings["clusters"]) * (size + 1),
    broadcast=lambda state: state.moments,
    unmasked="sites mask one weighted update of the model's length, not one for each cluster",
    keeps=True,
    bounds={"clusters": (2.0, 4.0)},
)
