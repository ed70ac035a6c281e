"""Models as graphs that other runtimes execute. `onnx` is imported here and nowhere else."""

from didymos_learning.exchange.export import OPSET, to_onnx

__all__ = ["OPSET", "to_onnx"]
