"""The bare limit: two processes, half of the clients each, a script's loop; no pool, no state machine, no disk.

For the MLP the two processes train stacked, by autograd over `torch.baddbmm`.
"""

import multiprocessing
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from didymos_learning import Flat, derive
from didymos_learning.models import build, initial, read_flat, write_flat
from torch.nn.functional import cross_entropy, mse_loss

from tests.bench.learning_workloads import BATCH, RATE, SAMPLES, WORKLOADS, install

Windows: TypeAlias = tuple[Any, Any]


def order_of(seed: bytes, round_: int, number: int) -> torch.Tensor:
    """The shuffle of one client in one round: what our engine draws."""
    key = derive(seed, "client", round_, f"client {number:07d}")
    return torch.from_numpy(np.random.Generator(np.random.Philox(key=key)).permutation(SAMPLES))


def train_one(module: torch.nn.Module, inputs: torch.Tensor, targets: torch.Tensor, order: torch.Tensor) -> None:
    """One epoch of SGD, as a script does it."""
    optimiser = torch.optim.SGD(module.parameters(), lr=RATE)
    for chosen in order.split(BATCH):  # type: ignore[no-untyped-call]
        optimiser.zero_grad()
        out = module(inputs[chosen])
        loss = cross_entropy(out, targets[chosen].long()) if out.dim() == 2 else mse_loss(out, targets[chosen])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def looped(name: str, folder: str, first: int, last: int) -> Callable[[Flat, int], Flat]:
    spec = WORKLOADS[name].spec(1)
    inputs, targets = _windows(folder, first, last)
    module = build(spec.model, 0)

    def round_(params: Flat, number: int) -> Flat:
        total = np.zeros_like(params)
        for at in range(last - first):
            write_flat(module, spec.model.layout, params)
            train_one(module, inputs[at], targets[at], order_of(spec.seed, number, first + at))
            total += (read_flat(module, spec.model.layout) - params) * SAMPLES
        return total

    return round_


def stacked(name: str, folder: str, first: int, last: int) -> Callable[[Flat, int], Flat]:
    spec = WORKLOADS[name].spec(1)
    inputs, targets = _windows(folder, first, last)
    inputs = inputs.flatten(2)
    layout, rows = spec.model.layout, torch.arange(last - first)[:, None]

    def round_(params: Flat, number: int) -> Flat:
        parts = [
            torch.from_numpy(layout.view(params, slot)).expand(last - first, *slot.shape).clone().requires_grad_()
            for slot in layout.slots
        ]
        orders = torch.stack([order_of(spec.seed, number, first + at) for at in range(last - first)])
        for chosen in orders.split(BATCH, dim=1):  # type: ignore[no-untyped-call]
            out = inputs[rows, chosen]
            for at in range(0, len(parts), 2):
                out = torch.baddbmm(parts[at + 1][:, None], out, parts[at].mT)
                out = out if at + 2 == len(parts) else out.relu()
            losses = mse_loss(out[:, :, 0], targets[rows, chosen], reduction="none").mean(dim=1)
            losses.sum().backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                for part in parts:
                    assert part.grad is not None
                    part.sub_(part.grad, alpha=RATE)
                    part.grad = None
        total = np.zeros_like(params)
        for slot, part in zip(layout.slots, parts, strict=True):
            ends = part.detach().sum(dim=0).numpy() - (last - first) * layout.view(params, slot)
            total[slot.offset : slot.offset + slot.size] = ends.reshape(-1) * SAMPLES
        return total

    return round_


def _windows(folder: str, first: int, last: int) -> Windows:
    rows = slice(first * SAMPLES, last * SAMPLES)
    found = [np.array(np.load(Path(folder) / f"{name}.npy", mmap_mode="r")[rows]) for name in ("inputs", "targets")]
    inputs, targets = (torch.from_numpy(each.reshape(last - first, SAMPLES, *each.shape[1:])) for each in found)
    return inputs, targets


def _work(line: Connection, name: str, folder: str, first: int, last: int) -> None:
    install()
    torch.set_num_threads(1)
    round_ = (stacked if WORKLOADS[name].engine == "stacked" else looped)(name, folder, first, last)
    line.send(b"")
    while (said := line.recv()) is not None:
        line.send(round_(*said))


class Bare:
    """The two processes, kept over repeats. `with Bare(...)`: they end with it."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._lines: list[Connection] = []
        self._stack = ExitStack()

    def __enter__(self) -> "Bare":
        context, half = multiprocessing.get_context("spawn"), WORKLOADS[self._name].clients // 2
        for first in (0, half):
            ours, theirs = context.Pipe()
            asked = (theirs, self._name, str(self._folder), first, first + half)
            process = context.Process(target=_work, args=asked, daemon=True)
            process.start()
            self._lines.append(ours)
            self._stack.callback(process.join, 20)
            self._stack.callback(ours.send, None)
        for line in self._lines:
            line.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, rounds: int) -> tuple[list[float], Flat]:
        """Seconds of each round; the parameters after round 3."""
        spec = WORKLOADS[self._name].spec(rounds)
        params, taken, third = initial(spec.model, derive(spec.seed, "init")), [], np.empty(0, np.float32)
        for number in range(1, rounds + 1):
            begun = time.perf_counter()
            for line in self._lines:
                line.send((params, number))
            total = sum((line.recv() for line in self._lines), np.zeros(params.size))
            params = (params + total / (SAMPLES * WORKLOADS[self._name].clients)).astype(np.float32)
            taken.append(time.perf_counter() - begun)
            if number == 3:
                third = params
        return taken, third
