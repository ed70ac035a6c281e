"""Many twins at once equal one after the other."""

import numpy as np
import pytest
from didymos_learning import LearningError, demo_spec, model_spec
from didymos_learning.engine import Engine
from didymos_learning.forecasting import TwinStack
from didymos_learning.models import initial

MODEL = demo_spec(bytes(32)).model


@pytest.mark.parametrize("skip", [0, 9])
def test_each_twin_of_a_stack_forecasts_as_its_own_torch_model(skip: int) -> None:
    model = model_spec("lstm", {"units": 32, "skip": skip}, MODEL.task)
    engine, random = Engine(model), np.random.default_rng(7)
    start = initial(model, 1)
    params = [start + random.normal(0, 0.2, len(start)).astype(np.float32) for _ in range(24)]
    inputs = random.normal(0, 1.5, (24, model.task.input, model.task.channels)).astype(np.float32)
    alone = [engine.change(one, inputs[row : row + 1])[0] for row, one in enumerate(params)]
    assert np.abs(TwinStack(model, params).change(inputs) - alone).max() <= 1e-5


def test_a_stack_of_no_twin_forecasts_nothing() -> None:
    assert len(TwinStack(MODEL, []).change(np.empty((0, MODEL.task.input, MODEL.task.channels), np.float32))) == 0


def test_other_lengths_and_architectures_are_refused() -> None:
    stack = TwinStack(MODEL, [initial(MODEL, 0)])
    with pytest.raises(LearningError, match="layout_mismatched"):
        stack.change(np.zeros((2, MODEL.task.input, MODEL.task.channels), np.float32))
    with pytest.raises(LearningError, match="layout_mismatched"):
        TwinStack(MODEL, [initial(MODEL, 0)[:-1]])
    with pytest.raises(LearningError, match="architecture_unknown"):
        TwinStack(model_spec("cnn1d", {}, MODEL.task), [])
