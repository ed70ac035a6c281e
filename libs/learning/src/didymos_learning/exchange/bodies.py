"""The body of each architecture of the house as nodes: (n, input, channels) to (n, features), as `models` have it."""

import numpy as np

from didymos_learning.architectures import Sizes
from didymos_learning.exchange.graph import Graph
from didymos_learning.spec import TaskSpec

EPSILON = 1e-5  # of the norms


def mlp(graph: Graph, sizes: Sizes, task: TaskSpec, inputs: str) -> str:
    del sizes, task
    hidden = graph.add("Relu", graph.linear(graph.add("Flatten", inputs, axis=1), "first"))
    return graph.add("Relu", graph.linear(hidden, "second"))


def lstm(graph: Graph, sizes: Sizes, task: TaskSpec, inputs: str) -> str:
    """Gates of torch are input, forget, cell, output; of ONNX input, output, forget, cell."""
    del task
    return _recurrent(graph, "LSTM", sizes["units"], (0, 3, 1, 2), inputs)


def gru(graph: Graph, sizes: Sizes, task: TaskSpec, inputs: str) -> str:
    """Gates of torch are reset, update, new; of ONNX update, reset, new. The reset acts behind the linear map."""
    del task
    return _recurrent(graph, "GRU", sizes["units"], (1, 0, 2), inputs, linear_before_reset=1)


def _recurrent(graph: Graph, kind: str, units: int, gates: tuple[int, ...], inputs: str, **attributes: int) -> str:
    """The last state of one layer. Weights go in the order `gates`, with a direction in front."""

    def ordered(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        parts = graph.slot(name).reshape(len(gates), units, -1)[list(gates)]
        return parts.reshape(1, len(gates) * units, -1)

    both = np.concatenate([ordered("body.bias_ih_l0"), ordered("body.bias_hh_l0")], axis=1)[:, :, 0]
    tensors = [
        graph.tensor("body.weight_ih_l0.gates", ordered("body.weight_ih_l0")),
        graph.tensor("body.weight_hh_l0.gates", ordered("body.weight_hh_l0")),
        graph.tensor("body.bias.gates", both),
    ]
    rows = graph.add("Transpose", inputs, perm=[1, 0, 2])
    state = graph.add_last(kind, [rows, *tensors], hidden_size=units, **attributes)
    return graph.add("Squeeze", state, graph.integers(0))


def cnn1d(graph: Graph, sizes: Sizes, task: TaskSpec, inputs: str) -> str:
    hidden = graph.add("Transpose", inputs, perm=[0, 2, 1])
    for layer in ("first", "second"):
        hidden = graph.add("Conv", hidden, *_kernel(graph, layer), pads=[2, 2])
        hidden = graph.gelu(_group_norm(graph, f"{layer}_norm", sizes, (task.input,), hidden))
    return graph.add("ReduceMean", hidden, axes=[2], keepdims=0)


def cnn2d(graph: Graph, sizes: Sizes, task: TaskSpec, inputs: str) -> str:
    planes, across = sizes["planes"], task.channels // sizes["planes"]
    rows = graph.add("Reshape", inputs, graph.integers(-1, task.input, planes, across))
    hidden = graph.add("Transpose", rows, perm=[0, 2, 1, 3])
    for layer in ("first", "second"):
        across = -(-across // 2)
        hidden = graph.add("Conv", hidden, *_kernel(graph, layer), pads=[1, 1, 1, 1], strides=[1, 2])
        hidden = graph.gelu(_group_norm(graph, f"{layer}_norm", sizes, (task.input, across), hidden))
    return graph.add("Flatten", graph.add("ReduceMean", hidden, axes=[2], keepdims=0), axis=1)


def _kernel(graph: Graph, stem: str) -> tuple[str, str]:
    return graph.parameter(f"{stem}.weight"), graph.parameter(f"{stem}.bias")


def _group_norm(graph: Graph, stem: str, sizes: Sizes, places: tuple[int, ...], inputs: str) -> str:
    """(n, width, *places): each group of channels gets mean 0 and variance 1, then each channel a scale and a shift."""
    width, groups = sizes["width"], sizes["groups"]
    ones, zeros = np.ones(groups, np.float32), np.zeros(groups, np.float32)
    grouped = graph.add("Reshape", inputs, graph.integers(-1, groups, width // groups * int(np.prod(places))))
    even = graph.add(
        "InstanceNormalization", grouped, graph.tensor("group_ones", ones), graph.tensor("group_zeros", zeros),
        epsilon=EPSILON,
    )  # fmt: skip
    back = graph.add("Reshape", even, graph.integers(-1, width, *places))
    shape = (width, *(1 for _ in places))
    scale = graph.tensor(f"{stem}.weight", graph.slot(f"{stem}.weight").reshape(shape))
    shift = graph.tensor(f"{stem}.bias", graph.slot(f"{stem}.bias").reshape(shape))
    return graph.add("Add", graph.add("Mul", back, scale), shift)


def transformer(graph: Graph, sizes: Sizes, task: TaskSpec, inputs: str) -> str:
    patch = sizes["patch"]
    patches = graph.add("Reshape", inputs, graph.integers(-1, task.input // patch, patch * task.channels))
    embedded = graph.project(patches, "embed_patch.weight", "embed_patch.bias")
    hidden = graph.add("Add", embedded, graph.parameter("position"))
    for layer in range(sizes["layers"]):
        stem = f"body.layers.{layer}"
        attended = _attention(graph, f"{stem}.self_attn", sizes, task, _layer_norm(graph, f"{stem}.norm1", hidden))
        hidden = graph.add("Add", hidden, attended)
        wide = graph.project(
            _layer_norm(graph, f"{stem}.norm2", hidden), f"{stem}.linear1.weight", f"{stem}.linear1.bias"
        )
        narrow = graph.project(graph.gelu(wide), f"{stem}.linear2.weight", f"{stem}.linear2.bias")
        hidden = graph.add("Add", hidden, narrow)
    return graph.add("ReduceMean", _layer_norm(graph, "norm", hidden), axes=[1], keepdims=0)


def _layer_norm(graph: Graph, stem: str, inputs: str) -> str:
    weights = graph.parameter(f"{stem}.weight"), graph.parameter(f"{stem}.bias")
    return graph.add("LayerNormalization", inputs, *weights, axis=-1, epsilon=EPSILON)


def _attention(graph: Graph, stem: str, sizes: Sizes, task: TaskSpec, inputs: str) -> str:
    """Softmax(q k' / sqrt(width / heads)) v over the patches, head by head."""
    width, heads, length = sizes["width"], sizes["heads"], task.input // sizes["patch"]
    each = width // heads
    projected = graph.project(inputs, f"{stem}.in_proj_weight", f"{stem}.in_proj_bias")
    # (n, length, 3 width) to (3, n, heads, length, each)
    apart = graph.add("Reshape", projected, graph.integers(-1, length, 3, heads, each))
    turned = graph.add("Transpose", apart, perm=[2, 0, 3, 1, 4])
    query, key, value = (
        graph.add("Gather", turned, graph.tensor(f"place_{at}", np.array(at, np.int64)), axis=0) for at in range(3)
    )
    scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
    weights = graph.add("Softmax", graph.add("Mul", scores, graph.number(each**-0.5)), axis=-1)
    mixed = graph.add("Transpose", graph.add("MatMul", weights, value), perm=[0, 2, 1, 3])
    joined = graph.add("Reshape", mixed, graph.integers(-1, length, width))
    return graph.project(joined, f"{stem}.out_proj.weight", f"{stem}.out_proj.bias")
