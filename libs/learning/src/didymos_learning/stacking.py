"""The data of K clients in one array, and who reads which rows in which step: what the stacked engine trains on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from didymos_learning.spec import LocalSpec
from didymos_learning.windows import ClientData


@dataclass(frozen=True, slots=True)
class Stack:
    """`inputs` (K, n, width), `targets` (K, n), padded with zeros to the longest client; `counts` (K,): real rows."""

    inputs: Tensor
    targets: Tensor
    counts: NDArray[np.int64]

    @property
    def bytes(self) -> int:
        return 4 * (self.inputs.numel() + self.targets.numel())


def stack_of(clients: Sequence[ClientData], device: torch.device) -> Stack:
    """The fit windows of the clients, each flattened, on the device."""
    counts = np.array([len(client.fit) for client in clients], dtype=np.int64)
    width = prod(clients[0].fit.inputs.shape[1:])
    inputs = np.zeros((len(clients), max(int(counts.max()), 1), width), dtype=np.float32)
    targets = np.zeros(inputs.shape[:2], dtype=np.float32)
    for at, client in enumerate(clients):
        inputs[at, : counts[at]] = client.fit.inputs.reshape(counts[at], width)
        targets[at, : counts[at]] = client.fit.targets
    return Stack(torch.from_numpy(inputs).to(device), torch.from_numpy(targets).to(device), counts)


@dataclass
class Step:
    """One step of the first clients of the plan: `rows` (k, m) into their windows, `weights` (k, m), 0 for padding.

    `errors` (k,): the losses of the step, once it was taken.
    """

    rows: Tensor
    weights: Tensor
    errors: Tensor | None = None


@dataclass
class Plan:
    """`order` (K,): clients by number of steps, most first, so that those with a step left are the first of the block.

    `taken` (K,) and `an_epoch` (K,): steps of each client, in that order, and its batches an epoch.
    """

    order: Tensor
    taken: NDArray[np.int64]
    an_epoch: NDArray[np.int64]
    counts: NDArray[np.int64]
    batch: int
    steps: list[Step] = field(default_factory=list)

    def losses(self) -> list[float]:
        """Each client's sum of losses over its last epoch, a row, in the clients' own order; 0 for who has no rows."""
        sums = np.zeros(len(self.taken))
        first = (self.taken - 1) // np.maximum(self.an_epoch, 1) * self.an_epoch
        for number, step in enumerate(self.steps):
            assert step.errors is not None  # noqa: S101 - asked for after training
            errors = step.errors.cpu().numpy().astype(np.float64)
            active = slice(0, len(errors))
            begin = (number - first[active]) * self.batch
            sums[active] += np.where(begin >= 0, errors * np.clip(self.counts[active] - begin, 0, self.batch), 0.0)
        out = np.empty(len(sums))
        out[self.order.numpy()] = sums / np.maximum(self.counts, 1)
        return [float(loss) for loss in out]


def plan_of(stack: Stack, local: LocalSpec, seeds: Sequence[int]) -> Plan:
    """The batches that the loop engine would take, client by client: epochs, `max_steps` and shuffles are its own."""
    batches = -(-stack.counts // local.batch)
    taken = batches * local.epochs
    if local.max_steps:
        taken = np.minimum(taken, local.max_steps)
    order = np.argsort(-taken, kind="stable")
    most = int(taken.max())
    rows = np.zeros((len(order), most, local.batch), dtype=np.int64)
    real = np.zeros((len(order), most), dtype=np.int64)
    luck = _Luck()
    for at, client in enumerate(order):
        _fill(rows[at], real[at], int(stack.counts[client]), int(taken[client]), local, luck.of(seeds[client]))
    device = stack.inputs.device
    plan = Plan(torch.from_numpy(order), taken[order], batches[order], stack.counts[order], local.batch)
    for number in range(most):
        active = int((plan.taken > number).sum())
        sizes = real[:active, number]
        width = int(sizes.max())
        weights = (np.arange(width) < sizes[:, None]) / sizes[:, None]
        plan.steps.append(
            Step(
                torch.from_numpy(rows[:active, number, :width]).to(device),
                torch.from_numpy(weights.astype(np.float32)).to(device),
            )
        )
    return plan


class _Luck:
    """The draws of `Generator(Philox(key=seed))` of one seed after the other, by one generator, for one is dear."""

    def __init__(self) -> None:
        self._bits = np.random.Philox(key=0)
        self._begin: Any = self._bits.state  # its setter takes a whole state, and nothing else
        self._generator = np.random.Generator(self._bits)

    def of(self, seed: int) -> np.random.Generator:
        """At the begin of the seed's draws; the one of the seed before is this one."""
        self._begin["state"]["key"][0] = seed
        self._bits.state = self._begin
        return self._generator


def _fill(
    rows: NDArray[np.int64],
    real: NDArray[np.int64],
    count: int,
    taken: int,
    local: LocalSpec,
    shuffle: np.random.Generator,
) -> None:
    """One client's batches: `rows` (steps, batch), `real` (steps,)."""
    number = 0
    while number < taken:
        shuffled = shuffle.permutation(count)
        for begin in range(0, count, local.batch):
            if number == taken:
                return
            part = shuffled[begin : begin + local.batch]
            rows[number, : len(part)] = part
            real[number] = len(part)
            number += 1
