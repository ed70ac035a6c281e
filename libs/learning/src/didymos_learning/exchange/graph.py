"""A graph as it grows: nodes in order, and the tensors that they name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from didymos_learning.layout import Layout
from didymos_learning.vector import Flat


class Graph:
    """`params` (d,) in the slots of `layout`; a tensor is written once, under its name."""

    def __init__(self, params: Flat, layout: Layout) -> None:
        self._params, self._layout = params, layout
        self._named: set[str] = set()
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []

    def add(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:  # noqa: ANN401 - as ONNX takes them
        """One node with one output; its name."""
        name = out or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def add_last(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:  # noqa: ANN401
        """A recurrent node, whose second output is its last state."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, ["", name], **attributes))
        return name

    def slot(self, name: str) -> NDArray[np.float32]:
        """The parameter of this name, in its shape."""
        return self._layout.view(self._params, self._layout.slot(name))

    def parameter(self, name: str) -> str:
        """The parameter as it lies in the layout."""
        return self.tensor(name, self.slot(name))

    def tensor(self, name: str, values: NDArray[Any]) -> str:
        if name not in self._named:
            self._named.add(name)
            self.tensors.append(numpy_helper.from_array(values.copy(order="C"), name))
        return name

    def integers(self, *values: int) -> str:
        return self.tensor("int_" + "_".join(map(str, values)), np.array(values, np.int64))

    def number(self, value: float) -> str:
        return self.tensor(f"float_{value!r}", np.array(value, np.float32))

    def linear(self, inputs: str, stem: str, *, out: str = "") -> str:
        """(n, k) to (n, m) by `stem.weight` (m, k) and `stem.bias`."""
        return self.add(
            "Gemm", inputs, self.parameter(f"{stem}.weight"), self.parameter(f"{stem}.bias"), out=out, transB=1
        )

    def project(self, inputs: str, weight: str, bias: str) -> str:
        """(..., k) to (..., m) by the slots `weight` (m, k) and `bias`."""
        turned = self.tensor(f"{weight}.T", self.slot(weight).T)
        return self.add("Add", self.add("MatMul", inputs, turned), self.parameter(bias))

    def gelu(self, inputs: str) -> str:
        """x (1 + erf(x / sqrt 2)) / 2."""
        erf = self.add("Erf", self.add("Mul", inputs, self.number(float(np.sqrt(0.5)))))
        return self.add("Mul", self.add("Mul", inputs, self.number(0.5)), self.add("Add", erf, self.number(1.0)))
