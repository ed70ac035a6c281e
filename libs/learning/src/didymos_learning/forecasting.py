"""Forecasts of many twins at once, each with parameters of its own: the LSTM as stacked matrix products in numpy.

A graph instance per twin costs milliseconds and megabytes; here a twin is one row of each stack. torch is not imported.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from didymos_learning.architectures import sizes_of
from didymos_learning.errors import LearningError
from didymos_learning.spec import ModelSpec
from didymos_learning.vector import Flat, Wide
from didymos_learning.windows import Inputs

ARCH: Final = "lstm"
_Block = NDArray[np.float32]


class TwinStack:
    """Parameters of n twins of one model, one set each: about 20 kB a twin for 32 units. Keep 64 to 512 in a stack."""

    def __init__(self, model: ModelSpec, params: Sequence[Flat]) -> None:
        """`params`: n vectors (d,). Raises LearningError `training.architecture_unknown`, `.layout_mismatched`."""
        if model.arch != ARCH:
            raise LearningError("training.architecture_unknown", detail=f"no stack of {model.arch[:64]!r}")
        self.model = model
        self._units = int(sizes_of(model.arch, model.version, model.args, model.task)["units"])
        self._skip = int(sizes_of(model.arch, model.version, model.args, model.task)["skip"])
        layout = model.layout
        flat = np.stack([layout.check(one) for one in params]) if params else np.empty((0, layout.size), np.float32)

        def slot(name: str) -> _Block:
            found = layout.slot(name)
            return flat[:, found.offset : found.offset + found.size].reshape(len(flat), *found.shape)

        half = np.full(4 * self._units, 0.5, np.float32)  # sigmoid(x) = (1 + tanh(x / 2)) / 2: one tanh for all gates
        half[2 * self._units : 3 * self._units] = 1.0
        self._input = np.ascontiguousarray(slot("body.weight_ih_l0").transpose(0, 2, 1) * half)
        self._state = np.ascontiguousarray(slot("body.weight_hh_l0").transpose(0, 2, 1) * half)
        self._bias = (slot("body.bias_ih_l0") + slot("body.bias_hh_l0")) * half
        self._head = np.ascontiguousarray(slot("head.weight")[:, 0])
        self._head_bias = slot("head.bias")[:, 0].copy()

    def __len__(self) -> int:
        return len(self._bias)

    def change(self, inputs: Inputs) -> Wide:
        """The scaled change (n,) that each twin's model sees ahead of its window; `inputs` (n, input, channels).

        Raises LearningError `training.layout_mismatched` for another number of windows.
        """
        task, units = self.model.task, self._units
        if inputs.shape != (len(self), task.input, task.channels):
            raise LearningError("training.layout_mismatched", expected=len(self), actual=str(inputs.shape))
        given = inputs @ self._input + self._bias[:, None]
        cell: _Block = np.zeros((len(self), units), np.float32)
        hidden: _Block = np.zeros((len(self), units), np.float32)
        half = np.float32(0.5)
        for step in range(task.input):
            gates = np.tanh(given[:, step] + (hidden[:, None] @ self._state)[:, 0])
            keep = half + half * gates[:, units : 2 * units]
            enter = half + half * gates[:, :units]
            cell = keep * cell + enter * gates[:, 2 * units : 3 * units]
            hidden = (half + half * gates[:, 3 * units :]) * np.tanh(cell)
        read = hidden
        if self._skip:
            read = np.concatenate(
                [hidden, inputs[:, -self._skip :].reshape(len(self), self._skip * task.channels)], axis=1
            )
        said: Wide = (np.einsum("nf,nf->n", read, self._head) + self._head_bias).astype(np.float64)
        return said
