"""The loop engine: one module a process, trained for one client after the other. All training goes through here.

Parameters and gradients of the module are views into two flat tensors, so loading a client's start is one copy and an
optimiser step a few operations on vectors. `torch.set_num_threads(1)` is the caller's: use processes, not threads.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, huber_loss, mse_loss

from didymos_learning.devices import CPU, device_of, fill
from didymos_learning.errors import LearningError
from didymos_learning.local import EngineLocal
from didymos_learning.models import ForecastModule, build
from didymos_learning.spec import LocalSpec, ModelSpec, RunSpec
from didymos_learning.strategies import ByIndividual, Carried, plain, settings_of, strategy_of
from didymos_learning.valuation import dot_score
from didymos_learning.vector import Flat, Wide
from didymos_learning.windows import ClientData, Inputs, Windows

AT_ONCE: Final = 4096  # windows of one forward pass where nothing is learnt
NOTHING: Final = Carried()  # no strategy of the weighted mean carries more than the parameters


@dataclass(frozen=True, slots=True)
class Trained:
    """One subject in one round. `score`: dot with the validation gradient, if there was one. It stays in the site."""

    subject: str
    weight: float
    loss: float
    score: float | None


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """`total` (width,): the sum of the contributions in client order, from zero, in float32; `weight`: of the weights.

    A contribution is w_i clip(y_i - x), unless the strategy says otherwise. `states`: what clients keep, by subject.
    `updates`: the single updates (d,), for a strategy that compares them; else none.
    """

    total: Flat
    weight: float
    count: int
    trained: tuple[Trained, ...]
    states: Mapping[str, Flat] = field(default_factory=dict)
    updates: tuple[Flat, ...] = ()


class Engine:
    """A module and its flat vectors on one device; not for two threads at once. Vectors come and go as NumPy's.

    Raises LearningError `training.device_missing`.
    """

    def __init__(self, model: ModelSpec, device: str = CPU) -> None:
        self.model = model
        self.layout = model.layout
        self._device = device_of(device)
        self.module: ForecastModule = build(model, 0).to(self._device)
        self._params = torch.zeros(model.layout.size, device=self._device)
        self._grads = torch.zeros(model.layout.size, device=self._device)
        self.steps = 0  # of the optimiser, since this engine was made
        named = dict(self.module.named_parameters())
        for slot in self.layout.slots:
            place = slice(slot.offset, slot.offset + slot.size)
            named[slot.name].data = self._params[place].view(slot.shape)
            named[slot.name].grad = self._grads[place].view(slot.shape)

    def load(self, params: Flat) -> None:
        """The module gets these parameters (d,). Raises LearningError `training.layout_mismatched`."""
        fill(self._params, self.layout.check(params))

    def params(self) -> Flat:
        """A copy of the module's parameters (d,)."""
        return self._params.cpu().numpy().copy()

    def _here(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self._device)

    def predict(self, params: Flat, windows: Windows) -> Wide:
        """The scaled change (n,) that the model with `params` (d,) sees ahead, or the scores (n, classes) it gives."""
        return self.change(params, windows.inputs)

    def change(self, params: Flat, inputs: Inputs) -> Wide:
        """The same of bare inputs (n, input, channels)."""
        self.load(params)
        outputs = self.model.task.outputs
        out = np.empty(len(inputs) if outputs == 1 else (len(inputs), outputs))
        with torch.no_grad():
            for part in _parts(len(inputs), AT_ONCE):
                out[part] = self.module(self._here(inputs[part])).cpu().numpy()
        return out

    def gradient(self, params: Flat, windows: Windows, huber: float | None) -> Flat:
        """The gradient (d,) of the mean loss over all windows at `params` (d,)."""
        self.load(params)
        self._grads.zero_()
        for part in _parts(len(windows), AT_ONCE):
            targets = self._here(windows.targets[part])
            loss = _loss(self.module(self._here(windows.inputs[part])), targets, huber)
            (loss * (len(targets) / len(windows))).backward()  # type: ignore[no-untyped-call]
        return self._grads.cpu().numpy().copy()

    def loss(self, params: Flat, windows: Windows, huber: float | None) -> float:
        """The mean loss over all windows at `params` (d,)."""
        self.load(params)
        total = 0.0
        with torch.no_grad():
            for part in _parts(len(windows), AT_ONCE):
                targets = self._here(windows.targets[part])
                loss = _loss(self.module(self._here(windows.inputs[part])), targets, huber)
                total += float(loss) * len(targets)
        return total / len(windows)

    def train(
        self,
        windows: Windows,
        local: LocalSpec,
        rate: float,
        seed: int,
        *,
        drift: Flat | None = None,
        pull: tuple[float, Flat] | None = None,
        only: NDArray[np.bool_] | None = None,
    ) -> Iterator[float]:
        """Trains the loaded parameters on the windows; yields the mean loss after each epoch. Stops at `max_steps`.

        `drift`, `pull`, `only`: as `strategies.Local.train`; without a pull, `mu` pulls to the loaded parameters.
        """
        inputs, targets = self._here(windows.inputs), self._here(windows.targets)
        strength = local.mu if pull is None else pull[0]
        anchor = (self._params.clone() if pull is None else self._here(pull[1])) if strength else None
        added = None if drift is None else self._here(drift)
        moving = None if only is None else self._here(only)
        step = _Stepper(self._params, self._grads, local.optimiser, rate)
        order = np.random.Generator(np.random.Philox(key=seed))
        left = local.max_steps or local.epochs * len(windows)
        for _ in range(local.epochs):
            losses, shuffled = 0.0, self._here(order.permutation(len(windows)))
            for part in _parts(len(windows), local.batch)[:left]:
                chosen = shuffled[part]
                self._grads.zero_()
                loss = _loss(self.module(inputs[chosen]), targets[chosen], local.huber)
                loss.backward()  # type: ignore[no-untyped-call]
                if anchor is not None:
                    self._grads.add_(self._params - anchor, alpha=strength)
                if added is not None:
                    self._grads.add_(added)
                if moving is not None:
                    self._grads.mul_(moving)
                step()
                self.steps += 1
                losses += float(loss.detach()) * len(chosen)
                left -= 1
            yield losses / len(windows)
            if not left:
                return


class _Stepper:
    """SGD, or Adam (arXiv 1412.6980) with its usual constants, on flat vectors, in place."""

    def __init__(self, params: Tensor, grads: Tensor, optimiser: str, rate: float) -> None:
        self._params, self._grads, self._rate, self._steps = params, grads, rate, 0
        self._adam = optimiser == "adam"
        self._first, self._second = torch.zeros_like(params), torch.zeros_like(params)

    def __call__(self) -> None:
        self._steps += 1
        if not self._adam:
            self._params.add_(self._grads, alpha=-self._rate)
            return
        self._first.mul_(0.9).add_(self._grads, alpha=0.1)
        self._second.mul_(0.999).addcmul_(self._grads, self._grads, value=0.001)
        scale = (self._second / (1.0 - 0.999**self._steps)).sqrt_().add_(1e-8)
        self._params.addcdiv_(self._first, scale, value=-self._rate / (1.0 - 0.9**self._steps))


def train_chunk(
    engine: Engine,
    clients: Sequence[ClientData],
    params: Flat,
    spec: RunSpec,
    round_: int,
    validation: Flat | None = None,
    carried: Carried = NOTHING,
) -> ChunkResult:
    """One round (from 1) of these clients from `params` (d,); scored if there is a validation gradient (d,).

    A client's randomness is `derive(seed, "client", round, subject)`: the same bits in whatever chunk it is trained.
    `carried`: what the strategy sends beside the parameters, and what these clients kept from earlier rounds.
    Raises LearningError `training.layout_mismatched`, `training.update_not_finite`, `training.strategy_unknown`.
    """
    strategy = strategy_of(spec.strategy, "none")
    settings, single = settings_of(strategy, spec.strategy), isinstance(strategy, ByIndividual)
    contribute = plain if isinstance(strategy, ByIndividual) else strategy.contribute
    size = engine.layout.size
    total = np.zeros(size if isinstance(strategy, ByIndividual) else strategy.width(size, settings), dtype=np.float32)
    trained, states, updates = list[Trained](), dict[str, Flat](), list[Flat]()
    for client in clients:
        kept = carried.states.get(client.subject)
        made = contribute(EngineLocal(engine, client, spec, round_), params, carried.broadcast, kept, settings)
        if made.vector.shape != total.shape:
            raise LearningError("training.layout_mismatched", expected=total.size, actual=made.vector.shape)
        total += made.vector
        if made.state is not None:
            states[client.subject] = made.state
        if single:
            updates.append(made.update)
        score = None if validation is None else dot_score(made.update, validation)
        trained.append(Trained(client.subject, made.weight, made.loss, score))
    weight = float(sum(one.weight for one in trained))
    return ChunkResult(total, weight, len(trained), tuple(trained), states, tuple(updates))


def validation_gradient(engine: Engine, params: Flat, validation: Windows, spec: RunSpec) -> Flat:
    """The gradient (d,) of the run's loss on the committed validation windows: what updates are scored against."""
    return engine.gradient(params, validation, spec.local.huber)


def _loss(out: Tensor, targets: Tensor, huber: float | None) -> Tensor:
    if out.dim() == 2:
        return cross_entropy(out, targets.long())
    return mse_loss(out, targets) if huber is None else huber_loss(out, targets, delta=huber)


def _parts(count: int, size: int) -> list[slice]:
    return [slice(begin, min(begin + size, count)) for begin in range(0, count, size)]
