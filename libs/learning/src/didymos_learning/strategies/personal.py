"""Strategies that leave each client with something of its own: FedRep (arXiv 2102.07078) and Ditto (2012.04221)."""

import numpy as np
from numpy.typing import NDArray

from didymos_learning.errors import LearningError
from didymos_learning.layout import Layout
from didymos_learning.strategies.means import FEDAVG
from didymos_learning.strategies.strategy import Broadcast, BySum, Contribution, Local, Settings, alone, plain
from didymos_learning.vector import Flat, clipped


def head_of(layout: Layout) -> NDArray[np.bool_]:
    """The coordinates (d,) of the slots named `head.`. Raises LearningError for a model without any."""
    head = np.zeros(layout.size, dtype=np.bool_)
    for slot in layout.slots:
        if slot.name.startswith("head."):
            head[slot.offset : slot.offset + slot.size] = True
    if not head.any():
        raise LearningError("training.layout_mismatched", detail="the model has no slots named head.")
    return head


def with_head(params: Flat, state: Flat | None, layout: Layout) -> Flat:
    """`params` (d,) with the head that a client kept: its model under FedRep."""
    if state is None:
        return params
    out, head = params.copy(), head_of(layout)
    if state.shape != (int(head.sum()),):
        raise LearningError("training.layout_mismatched", expected=int(head.sum()), actual=state.shape)
    out[head] = state
    return out


def _shared(local: Local, params: Flat, _broadcast: Broadcast, state: Flat | None, _settings: Settings) -> Contribution:
    """The head learns first, on the shared body as it came; then the body, under that head. The head stays."""
    head = head_of(local.layout)
    tuned = local.train(with_head(params, state, local.layout), only=head)
    reached = local.train(tuned.params, only=~head)
    update = np.where(head, np.float32(0.0), reached.params - params)
    update = clipped(update, local.clip)
    vector = np.multiply(update, np.float32(local.weight))
    return Contribution(vector, local.weight, update, reached.loss, tuned.params[head])


def _ditto(local: Local, params: Flat, broadcast: Broadcast, state: Flat | None, settings: Settings) -> Contribution:
    """As FedAvg; beside it the client trains a model of its own, v, with a pull of `lam` to the round's parameters."""
    given = plain(local, params, broadcast, None, settings)
    own = local.train(params if state is None else state, pull=(settings["lam"], params))
    return Contribution(given.vector, given.weight, given.update, given.loss, own.params)


FEDREP = BySum(
    "fedrep", {"lr": 1.0}, alone, FEDAVG.apply, contribute=_shared, keeps=True,
    unmasked="clients keep their heads between rounds, which sites do not store yet",
)  # fmt: skip
DITTO = BySum(
    "ditto", {"lr": 1.0, "lam": 0.1}, alone, FEDAVG.apply, contribute=_ditto, keeps=True,
    unmasked="clients keep a model of their own between rounds, which sites do not store yet",
    bounds={"lam": (0.0, 100.0)},
)  # fmt: skip
