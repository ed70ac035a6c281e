"""Parameters of a model as an ONNX file, written node by node from the flat vector: no torch is needed.

The graph reads `inputs` (batch, input, channels), float32, and answers `outputs`: (batch,) or (batch, classes). The
batch is free. Operators are those of opset 17, which every runtime since 2022 knows. docs/adr/0135.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from didymos_learning.architectures import Sizes, check_model, sizes_of
from didymos_learning.errors import LearningError
from didymos_learning.exchange import bodies
from didymos_learning.exchange.graph import Graph
from didymos_learning.spec import ModelSpec, TaskSpec
from didymos_learning.vector import Flat

OPSET: Final = 17
IR_VERSION: Final = 8  # of onnx 1.12, the first with opset 17
BODIES: Final[Mapping[str, Callable[[Graph, Sizes, TaskSpec, str], str]]] = {
    "mlp": bodies.mlp,
    "lstm": bodies.lstm,
    "gru": bodies.gru,
    "cnn1d": bodies.cnn1d,
    "cnn2d": bodies.cnn2d,
    "transformer": bodies.transformer,
}


def to_onnx(params: Flat, model: ModelSpec, said: Mapping[str, str]) -> bytes:
    """The model of `params` (d,) as an ONNX file, checked; equal bytes for equal input. `said` goes into its metadata.

    Raises LearningError `training.export_unsupported` for an architecture that has no graph here,
    `training.layout_mismatched`, `training.architecture_unknown`, `training.update_not_finite`.
    """
    check_model(model)
    model.layout.check(params)
    if not np.isfinite(params).all():
        raise LearningError("training.update_not_finite")
    body = BODIES.get(model.arch)
    if body is None:
        raise LearningError(
            "training.export_unsupported", arch=model.arch, detail="only architectures of the house have an ONNX graph"
        )
    task, sizes = model.task, sizes_of(model.arch, model.version, model.args, model.task)
    graph = Graph(params, model.layout)
    _head(graph, sizes, task, body(graph, sizes, task, "inputs"))
    return _file(graph, model, said)


def _head(graph: Graph, sizes: Sizes, task: TaskSpec, embedded: str) -> None:
    """The linear head over the features and the inputs of the last `skip` rows."""
    skip = sizes.get("skip", 0)
    if skip:
        rows = graph.add("Slice", "inputs", graph.integers(-skip), graph.integers(task.input), graph.integers(1))
        embedded = graph.add("Concat", embedded, graph.add("Flatten", rows, axis=1), axis=1)
    if task.outputs == 1:
        graph.add("Squeeze", graph.linear(embedded, "head"), graph.integers(1), out="outputs")
    else:
        graph.linear(embedded, "head", out="outputs")


def _file(graph: Graph, model: ModelSpec, said: Mapping[str, str]) -> bytes:
    task = model.task
    shape: list[str | int | None] = ["batch"] if task.outputs == 1 else ["batch", task.outputs]
    made = helper.make_graph(
        graph.nodes, f"{model.arch}-{model.version}",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["batch", task.input, task.channels])],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, shape)], graph.tensors,
    )  # fmt: skip
    opsets = [helper.make_opsetid("", OPSET)]
    whole = helper.make_model(made, producer_name="didymos", opset_imports=opsets, ir_version=IR_VERSION)
    whole.doc_string = meaning(task)
    facts = {"layout": model.layout.digest.hex(), "property": task.prop, "unit": task.unit, **said}
    helper.set_model_props(whole, dict(sorted(facts.items())))
    onnx.checker.check_model(whole, full_check=True)
    raw: bytes = whole.SerializeToString(deterministic=True)
    return raw


def meaning(task: TaskSpec) -> str:
    """What goes in and what comes out, for whoever runs the file without us."""
    if task.kind != "forecast":
        out = (
            f"a score for each of {', '.join(task.classes)}" if task.classes else f"{task.prop}, {task.unit}, as scaled"
        )
        return (
            f"inputs: {task.input} rows of {task.columns} numbers, scaled by the client's own fit part. outputs: {out}."
        )
    clock = "; sine and cosine of the time of day (UTC)" if task.clock == "day" else ""
    return (
        f"inputs: the last {task.input} readings of {task.prop}, one in {task.period_s} s, oldest first. "
        f"Channels: (value - level) / spread; (value - value before) / step, 0 in the first row{clock}. "
        f"outputs: y; the forecast {task.horizon * task.period_s} s ahead, in {task.unit}, is last value + y * move. "
        "level, spread, step and move belong to the person, from earlier readings: mean, standard deviation, root mean "
        "square of the change to the next reading and over the horizon."
    )
