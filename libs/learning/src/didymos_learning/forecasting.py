"""Forecasts of many twins at once, each with parameters of its own: LSTM and MLP as stacked matrix products in numpy.

A graph instance per twin costs milliseconds and megabytes; here a twin is one row of each stack. torch is imported for
other architectures only.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from didymos_learning.architectures import Sizes, sizes_of
from didymos_learning.errors import LearningError
from didymos_learning.spec import ModelSpec
from didymos_learning.vector import Flat, Wide
from didymos_learning.windows import Inputs

if TYPE_CHECKING:
    from didymos_learning.engine import Engine

AT_ONCE: Final = 128  # twins, or windows of one twin, of a block: their parameters and gates stay in the cache
_Block = NDArray[np.float32]


class Changes(Protocol):
    """What says a change for inputs: `Engine` by plain parameters, `Together` by packed ones."""

    model: ModelSpec

    def change(self, params: Flat, inputs: Inputs) -> Wide:
        """The scaled change (n,) that the model with `params` sees ahead of each window (n, input, channels)."""


class TwinStack(ABC):
    """An architecture as `didymos_learning.models` builds it, for twins with one packed row of parameters each."""

    def __init__(self, model: ModelSpec, sizes: Sizes, shapes: Sequence[tuple[int, int]]) -> None:
        """`shapes`: of the blocks of a row, the last two those of the head and its bias."""
        self.model, self._skip = model, sizes["skip"]
        ends = np.cumsum([rows * columns for rows, columns in shapes]).tolist()
        self._places = [
            (slice(end - rows * columns, end), (rows, columns))
            for (rows, columns), end in zip(shapes, ends, strict=True)
        ]

    @abstractmethod
    def blocks(self, slot: Callable[[str], _Block]) -> Sequence[_Block]:
        """The blocks of a row but the head's, from the parameters by their names."""

    @abstractmethod
    def embed(self, blocks: Sequence[_Block], inputs: Inputs) -> _Block:
        """(n, w, features) from blocks (n, rows, columns) and inputs (n, w, input, channels)."""

    def pack(self, params: Flat) -> Flat:
        """`params` (d,) as forecasts read them. Raises LearningError `training.layout_mismatched`."""
        layout = self.model.layout
        layout.check(params)

        def slot(name: str) -> _Block:
            return layout.view(params, layout.slot(name))

        parts = (*self.blocks(slot), slot("head.weight")[0], slot("head.bias"))
        return np.concatenate([part.ravel() for part in parts])

    def change(self, packed: Sequence[Flat], inputs: Inputs) -> Wide:
        """The scaled change (n, w) that each of n twins' models sees ahead of its w windows.

        `packed`: n rows of `pack`. `inputs` (n, w, input, channels). What is not finite stays in its twin.
        Raises LearningError `training.layout_mismatched` for another number of windows.
        """
        task = self.model.task
        if inputs.ndim != 4 or len(inputs) != len(packed) or inputs.shape[2:] != (task.input, task.channels):
            raise LearningError("training.layout_mismatched", expected=len(packed), actual=str(inputs.shape))
        twins, windows = inputs.shape[:2]
        if not twins:
            return np.empty((0, windows))
        rows = packed[0][None] if twins == 1 else np.stack(packed)
        *body, head, shift = (rows[:, at].reshape(twins, *shape) for at, shape in self._places)
        with np.errstate(all="ignore"):
            read = self.embed(body, inputs)
            if self._skip:
                last = inputs[:, :, -self._skip :].reshape(twins, windows, self._skip * task.channels)
                read = np.concatenate([read, last], axis=2)
            said: Wide = (np.einsum("nwf,nf->nw", read, head[:, 0]) + shift[:, 0]).astype(np.float64)
        return said


class LstmStack(TwinStack):
    def __init__(self, model: ModelSpec, sizes: Sizes) -> None:
        units, channels = sizes["units"], model.task.channels
        self._units = units
        half = np.full(4 * units, 0.5, np.float32)  # sigmoid(x) = (1 + tanh(x / 2)) / 2: one tanh for all gates
        half[2 * units : 3 * units] = 1.0
        self._half = half
        rows = [(channels, 4 * units), (units, 4 * units), (1, 4 * units)]
        super().__init__(model, sizes, [*rows, (1, units + sizes["skip"] * channels), (1, 1)])

    def blocks(self, slot: Callable[[str], _Block]) -> Sequence[_Block]:
        bias = (slot("body.bias_ih_l0") + slot("body.bias_hh_l0")) * self._half
        return slot("body.weight_ih_l0").T * self._half, slot("body.weight_hh_l0").T * self._half, bias

    def embed(self, blocks: Sequence[_Block], inputs: Inputs) -> _Block:
        (to_gates, state, bias), units = blocks, self._units
        twins, windows, steps, channels = inputs.shape
        given = inputs.reshape(twins, windows * steps, channels) @ to_gates + bias
        given = given.reshape(twins, windows, steps, 4 * units)
        cell = np.zeros((twins, windows, units), np.float32)
        hidden: _Block = np.zeros((twins, windows, units), np.float32)
        half = np.float32(0.5)
        for step in range(steps):
            gates = np.tanh(given[:, :, step] + hidden @ state)
            keep = half + half * gates[:, :, units : 2 * units]
            enter = half + half * gates[:, :, :units]
            cell = keep * cell + enter * gates[:, :, 2 * units : 3 * units]
            hidden = (half + half * gates[:, :, 3 * units :]) * np.tanh(cell)
        return hidden


class MlpStack(TwinStack):
    def __init__(self, model: ModelSpec, sizes: Sizes) -> None:
        width, task = sizes["width"], model.task
        rows = [(task.input * task.channels, width), (1, width), (width, width), (1, width)]
        super().__init__(model, sizes, [*rows, (1, width + sizes["skip"] * task.channels), (1, 1)])

    def blocks(self, slot: Callable[[str], _Block]) -> Sequence[_Block]:
        return slot("first.weight").T, slot("first.bias"), slot("second.weight").T, slot("second.bias")

    def embed(self, blocks: Sequence[_Block], inputs: Inputs) -> _Block:
        first, to_first, second, to_second = blocks
        hidden = np.maximum(inputs.reshape(*inputs.shape[:2], -1) @ first + to_first, 0.0)
        out: _Block = np.maximum(hidden @ second + to_second, 0.0)
        return out


STACKS: Final[Mapping[str, Callable[[ModelSpec, Sizes], TwinStack]]] = {"lstm": LstmStack, "mlp": MlpStack}


def stack_of(model: ModelSpec) -> TwinStack:
    """Raises LearningError `training.architecture_unknown` for an architecture that has no stack."""
    made = STACKS.get(model.arch)
    if made is None or model.task.outputs != 1:
        raise LearningError("training.architecture_unknown", detail=f"no stack of {model.arch[:64]!r}")
    return made(model, sizes_of(model.arch, model.version, model.args, model.task))


class Together:
    """Forecasts of one model (architecture, shapes, task) for many twins in one call; not for two threads at once.

    An LSTM or MLP runs as a stack. Others run by torch, twin after twin, those that share parameters at once.
    """

    def __init__(self, model: ModelSpec) -> None:
        self.model = model
        self._stack = stack_of(model) if model.arch in STACKS and model.task.outputs == 1 else None
        self._engine: Engine | None = None

    def pack(self, params: Flat) -> Flat:
        """As `change` and `change_each` take them. Raises LearningError `training.layout_mismatched`."""
        return self.model.layout.check(params) if self._stack is None else self._stack.pack(params)

    def change(self, params: Flat, inputs: Inputs) -> Wide:
        """The scaled change (n,) that one twin's model sees ahead of each of its windows (n, input, channels)."""
        if self._stack is None:
            return self._loop().change(params, inputs)
        out = np.empty(len(inputs))
        for begin in range(0, len(inputs), AT_ONCE):
            part = slice(begin, begin + AT_ONCE)
            out[part] = self._stack.change([params], inputs[None, part])[0]
        return out

    def change_each(self, packed: Sequence[Flat], inputs: Inputs) -> Wide:
        """The scaled change (n,) that each twin's model sees ahead of its window; `inputs` (n, input, channels).

        `packed`: n rows of `pack`, the same object for twins that share parameters.
        Raises LearningError `training.layout_mismatched` for another number of windows.
        """
        if len(inputs) != len(packed):
            raise LearningError("training.layout_mismatched", expected=len(packed), actual=str(inputs.shape))
        out = np.empty(len(packed))
        sharing: dict[int, list[int]] = {}
        for at, row in enumerate(packed):
            sharing.setdefault(id(row), []).append(at)
        stack, own = self._stack, list[int]()
        for many in sharing.values():
            if stack is None or len(many) > 1:
                out[many] = self.change(packed[many[0]], inputs[many])
            else:
                own += many
        if stack is None:
            return out
        for begin in range(0, len(own), AT_ONCE):
            some = own[begin : begin + AT_ONCE]
            out[some] = stack.change([packed[at] for at in some], inputs[some][:, None])[:, 0]
        return out

    def _loop(self) -> "Engine":
        if self._engine is None:
            import torch

            from didymos_learning.engine import Engine

            torch.set_num_threads(1)
            self._engine = Engine(self.model)
        return self._engine
