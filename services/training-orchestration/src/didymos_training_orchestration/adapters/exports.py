"""A registered model in the words of other tools. learning.md sections 7 and 12."""

import asyncio
from typing import Literal, TypeAlias

from didymos_learning import flat_view
from didymos_learning.export import to_safetensors

from didymos_training_orchestration.domain.model import Model
from didymos_training_orchestration.domain.run import Run

Format: TypeAlias = Literal["safetensors", "onnx"]


async def exported(model: Model, run: Run, raw: bytes, form: Format) -> bytes:
    """The file of a shared model whose parameters are `raw`; it names model, run, specification and parameters.

    In a thread: a graph is checked as a whole. Raises LearningError `training.export_unsupported`,
    `training.layout_mismatched`, `training.update_not_finite`.
    """
    return await asyncio.to_thread(_written, model, run, raw, form)


def _written(model: Model, run: Run, raw: bytes, form: Format) -> bytes:
    spec = run.spec.model
    params = flat_view(raw, spec.layout.size)
    said = {"model": model.id, "run": model.run, "spec": run.spec.digest.hex(), "params": model.params.hex()}
    if form == "safetensors":
        return to_safetensors(params, spec.layout, said)
    from didymos_learning.exchange import to_onnx  # brings onnx: a third of a second that only this needs

    return to_onnx(params, spec, said)
