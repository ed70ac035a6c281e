"""The stacked engine: K clients of one tiny MLP trained at once, parameters [K, d], one batched product a layer.

A client sees the same batches in the same order as in the loop engine, whose results it gives to 1e-5: sums inside a
product may run in another order. Ragged clients are padded with rows of weight 0, and whoever has no step left drops
out of the stack. Gradients are written by hand, straight into a [K, d] block: nothing is allocated for a graph.
`torch.set_num_threads(1)` is the caller's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor

from didymos_learning.devices import CPU, device_of, fill
from didymos_learning.engine import ChunkResult, Trained
from didymos_learning.errors import LearningError
from didymos_learning.layout import Layout
from didymos_learning.spec import LocalSpec, ModelSpec, RunSpec, derive
from didymos_learning.stackable import Linear, layers_of
from didymos_learning.stacking import Plan, Stack, plan_of, stack_of
from didymos_learning.valuation import dot_score
from didymos_learning.vector import Flat, norm
from didymos_learning.windows import ClientData

AT_ONCE: Final = 64  # clients of one stack: their parameters, gradients and activations stay in the cache
AT_ONCE_ON_CUDA: Final = 1024  # enough rows that a launch is a small share of a product
KEPT_BYTES: Final = 64 << 20  # of stacked windows kept from one round to the next


class StackedEngine:
    """The blocks of K clients, made once and used again; not for two threads at once.

    Raises LearningError as `layers_of`, `training.device_missing`.
    """

    def __init__(self, model: ModelSpec, device: str = CPU) -> None:
        self.model, self.layout = model, model.layout
        self.at_once = AT_ONCE if device == CPU else AT_ONCE_ON_CUDA
        self._device = device_of(device)
        self._layers = layers_of(model)
        self._blocks: dict[int, _Block] = {}
        self._stacks: dict[tuple[int, ...], tuple[Sequence[ClientData], Stack]] = {}
        self._kept = 0

    def train(self, clients: Sequence[ClientData], params: Flat, local: LocalSpec, rate: float,
              seeds: Sequence[int]) -> tuple[Flat, list[float]]:  # fmt: skip
        """Each client's parameters (K, d) after its training from `params` (d,), and its mean loss in its last epoch.

        The block is the engine's own: it is written over by the next call.
        """
        stack = self._stack(clients)
        plan = plan_of(stack, local, seeds)
        block = self._blocks.get(len(clients))
        if block is None:
            block = self._blocks[len(clients)] = _Block(len(clients), self.layout, self._layers, self._device)
        fill(block.params, self.layout.check(params))  # which may be read-only, as Ray's are
        return block.train(stack, plan, local, rate), plan.losses()

    def _stack(self, clients: Sequence[ClientData]) -> Stack:
        """The windows of these clients in one array. Kept with the clients, so an id means the same ones."""
        name = tuple(map(id, clients))
        if name in self._stacks:
            return self._stacks[name][1]
        made = stack_of(clients, self._device)
        if self._kept + made.bytes <= KEPT_BYTES:
            self._kept += made.bytes
            self._stacks[name] = (clients, made)
        return made


@dataclass
class _Block:
    """Work space of K clients. Rows are in the order of the plan: who has most steps comes first."""

    clients: int
    layout: Layout
    layers: tuple[Linear, ...]
    device: torch.device
    params: Tensor = field(init=False)
    grads: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.params = torch.zeros(self.clients, self.layout.size, device=self.device)
        self.grads = torch.zeros(self.clients, self.layout.size, device=self.device)

    def train(self, stack: Stack, plan: Plan, local: LocalSpec, rate: float) -> Flat:
        start = self.params[:1].clone() if local.mu else None
        moments = _Moments(self.params) if local.optimiser == "adam" else None
        order = plan.order.to(self.device)
        for number, step in enumerate(plan.steps, start=1):
            active = len(step.rows)
            params, grads = self.params[:active], self.grads[:active]
            owners = order[:active, None]
            inputs, targets = stack.inputs[owners, step.rows], stack.targets[owners, step.rows]
            step.errors = self._gradients(params, grads, inputs, targets, step.weights, local.huber)
            if start is not None:
                grads.add_(params - start, alpha=local.mu)
            if moments is None:
                params.add_(grads, alpha=-rate)
            else:
                moments.step(params, grads, number, rate)
        out = np.empty((self.clients, self.layout.size), dtype=np.float32)
        out[plan.order.numpy()] = self.params.cpu().numpy()
        return out

    def _gradients(self, params: Tensor, grads: Tensor, inputs: Tensor, targets: Tensor, weights: Tensor,
                   huber: float | None) -> Tensor:  # fmt: skip
        """Writes the gradient of each client's weighted mean loss; answers the losses (K,) before the step."""
        *hidden, head = self.layers
        seen = [inputs]
        for layer in hidden:
            weight, bias = _views(params, layer)
            seen.append(torch.baddbmm(bias[:, None], seen[-1], weight.mT).relu_())
        width = seen[-1].shape[2]
        if head.columns > width:
            seen[-1] = torch.cat([seen[-1], inputs[:, :, width - head.columns :]], dim=2)
        weight, bias = _views(params, head)
        slope, loss = _loss(torch.baddbmm(bias[:, None], seen[-1], weight.mT), targets, huber)
        back = slope * weights[:, :, None]
        for layer in reversed(self.layers):
            weight, _ = _views(params, layer)
            to_weight, to_bias = _views(grads, layer)
            below = seen.pop()
            torch.bmm(back.mT, below, out=to_weight)
            torch.sum(back, dim=1, out=to_bias)
            if seen:
                live = below[:, :, : width if layer is head else layer.columns]
                back = torch.bmm(back, weight[:, :, : live.shape[2]]).mul_(live > 0)
        return (loss * weights).sum(dim=1)


class _Moments:
    """Adam (arXiv 1412.6980) with its usual constants, for the first rows of a block: the rest take no step."""

    def __init__(self, params: Tensor) -> None:
        self._first, self._second = torch.zeros_like(params), torch.zeros_like(params)

    def step(self, params: Tensor, grads: Tensor, number: int, rate: float) -> None:
        first, second = self._first[: len(params)], self._second[: len(params)]
        first.mul_(0.9).add_(grads, alpha=0.1)
        second.mul_(0.999).addcmul_(grads, grads, value=0.001)
        scale = (second / (1.0 - 0.999**number)).sqrt_().add_(1e-8)
        params.addcdiv_(first, scale, value=-rate / (1.0 - 0.9**number))


def _views(flat: Tensor, layer: Linear) -> tuple[Tensor, Tensor]:
    """Weight (K, out, in) and bias (K, out) inside (K, d)."""
    width = layer.rows * layer.columns
    weight = flat[:, layer.weight : layer.weight + width].view(-1, layer.rows, layer.columns)
    return weight, flat[:, layer.bias : layer.bias + layer.rows]


def _loss(out: Tensor, targets: Tensor, huber: float | None) -> tuple[Tensor, Tensor]:
    """Slope (K, n, outputs) and value (K, n) of the loss of each row: squares, Huber's, or cross entropy."""
    if out.shape[2] > 1:
        logs, wanted = out.log_softmax(dim=2), targets.long()[:, :, None]
        slope = logs.exp().scatter_add_(2, wanted, torch.full_like(targets, -1.0)[:, :, None])
        return slope, -logs.gather(2, wanted)[:, :, 0]
    off = out - targets[:, :, None]
    if huber is None:
        return 2.0 * off, off.square()[:, :, 0]
    cut = off.clamp(-huber, huber)
    return cut, (cut * (off - 0.5 * cut))[:, :, 0]


def train_stacked(
    engine: StackedEngine,
    clients: Sequence[ClientData],
    params: Flat,
    spec: RunSpec,
    round_: int,
    validation: Flat | None = None,
) -> ChunkResult:
    """What `train_chunk` gives, by the stack: to 1e-5 of its total, the same bits for the same clients in one chunk.

    Raises LearningError `training.layout_mismatched`, `training.update_not_finite`.
    """
    rate = spec.local.rate(round_, spec.rounds)
    total = np.zeros(engine.layout.size, dtype=np.float32)
    trained: list[Trained] = []
    for begin in range(0, len(clients), engine.at_once):
        some = clients[begin : begin + engine.at_once]
        seeds = [derive(spec.seed, "client", round_, client.subject) for client in some]
        after, losses = engine.train(some, params, spec.local, rate, seeds)
        updates = np.subtract(after, params, out=after)
        if spec.local.clip is not None:
            for update in updates:
                _clip(update, spec.local.clip)
        for client, update, loss in zip(some, updates, losses, strict=True):
            weight = min(float(len(client.fit)), spec.cohort.max_weight)
            score = None if validation is None else dot_score(update, validation)
            trained.append(Trained(client.subject, weight, loss, score))
        total = _added(total, updates, [one.weight for one in trained[begin:]])
    return ChunkResult(total, float(sum(one.weight for one in trained)), len(trained), tuple(trained))


def _added(total: Flat, updates: Flat, weights: Sequence[float]) -> Flat:
    """`total` (d,) and then each weighted update (K, d), client after client; `updates` is written over.

    A reduction over rows adds row to row, so its bits are those of a loop. Raises `training.update_not_finite`.
    """
    updates *= np.array(weights, dtype=np.float32)[:, None]
    updates[0] += total
    after: Flat = np.add.reduce(updates, axis=0)
    if not np.isfinite(after).all() and not np.isfinite(updates).all():
        raise LearningError("training.update_not_finite")
    return after


def _clip(update: Flat, bound: float) -> None:
    """As `clipped`, in place."""
    length = norm(update)
    if not np.isfinite(length):
        raise LearningError("training.update_not_finite")
    if length > bound:
        update[:] = np.multiply(update, bound / length, dtype=np.float64)
