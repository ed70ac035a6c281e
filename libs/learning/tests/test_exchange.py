"""ONNX: another runtime answers what our modules answer, for any batch; what has no graph is refused, and why."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from didymos_learning import GLUCOSE_TASK, Flat, LearningError, TaskSpec, model_spec
from didymos_learning import architectures as known
from didymos_learning.exchange import OPSET, to_onnx
from didymos_learning.models import build, write_flat
from didymos_learning.spec import Arguments, ModelSpec

BEATS = TaskSpec("classify", "features/ecg/beat", "1", 0, 24, 0, "none", 12, ("n", "s", "v"))
LIFE = TaskSpec("regress", "features/engine/life", "1", 1, 16, 0, "none", 8)
MODELS: list[tuple[str, Arguments, TaskSpec]] = [
    ("mlp", {"width": 24, "skip": 0}, GLUCOSE_TASK),
    ("lstm", {"units": 16, "skip": 9}, GLUCOSE_TASK),
    ("gru", {"units": 12, "skip": 1}, LIFE),
    ("cnn1d", {"width": 8, "groups": 4, "skip": 0}, BEATS),
    ("cnn2d", {"width": 6, "groups": 3, "planes": 4, "skip": 2}, BEATS),
    ("transformer", {"width": 16, "heads": 4, "layers": 2, "patch": 8, "skip": 3}, LIFE),
]
IDS = [name for name, _, _ in MODELS]


def trained(spec: ModelSpec) -> Flat:
    """Parameters as after some training: nowhere zero, padding apart."""
    random, flat = np.random.default_rng(5), np.zeros(spec.layout.size, np.float32)
    for slot in spec.layout.slots:
        flat[slot.offset : slot.offset + slot.size] = random.normal(0.0, 0.3, slot.size)
    return flat


def session(raw: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("arch", "args", "task"), MODELS, ids=IDS)
def test_another_runtime_answers_the_same_for_every_batch(arch: str, args: Arguments, task: TaskSpec) -> None:
    spec = model_spec(arch, args, task)
    params = trained(spec)
    module = build(spec, 0)
    write_flat(module, spec.layout, params)
    runtime = session(to_onnx(params, spec, {}))
    random = np.random.default_rng(6)
    for batch in (1, 3, 1000):
        inputs = random.normal(0.0, 1.0, (batch, task.input, task.channels)).astype(np.float32)
        with torch.no_grad():
            ours = module(torch.from_numpy(inputs)).numpy()
        (theirs,) = runtime.run(["outputs"], {"inputs": inputs})
        assert theirs.shape == ours.shape
        assert float(np.abs(ours).max()) > 0.1
        assert float(np.abs(theirs - ours).max()) <= 1e-5 * max(1.0, float(np.abs(ours).max()))


def test_a_file_says_what_it_is_and_is_the_same_each_time() -> None:
    spec = model_spec("lstm", {"units": 2, "skip": 2}, GLUCOSE_TASK)
    raw = to_onnx(trained(spec), spec, {"model": "m-1"})
    assert raw == to_onnx(trained(spec), spec, {"model": "m-1"})
    read = onnx.load_model_from_string(raw)
    facts = {each.key: each.value for each in read.metadata_props}
    assert [(each.domain, each.version) for each in read.opset_import] == [("", OPSET)]
    assert (facts["model"], facts["layout"], facts["unit"]) == ("m-1", spec.layout.digest.hex(), GLUCOSE_TASK.unit)
    assert "last value + y * move" in read.doc_string
    assert not any(tensor.external_data for tensor in read.graph.initializer)


def test_what_cannot_be_exported_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = model_spec("mlp", {"width": 4, "skip": 0}, GLUCOSE_TASK)
    guest = known.ARCHITECTURES["mlp"]
    monkeypatch.setattr(known, "ARCHITECTURES", {**known.ARCHITECTURES, "guest": guest})
    with pytest.raises(LearningError, match=r"training.export_unsupported .*guest.*architectures of the house"):
        to_onnx(trained(spec), replace(spec, arch="guest"), {})
    with pytest.raises(LearningError, match="layout_mismatched"):
        to_onnx(trained(spec)[:-1], spec, {})
    with pytest.raises(LearningError, match="update_not_finite"):
        to_onnx(np.full(spec.layout.size, np.nan, np.float32), spec, {})
