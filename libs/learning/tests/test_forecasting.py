"""Many twins at once equal one after the other."""

import numpy as np
import pytest
from didymos_learning import Flat, LearningError, demo_spec, model_spec
from didymos_learning.engine import Engine
from didymos_learning.forecasting import Together, stack_of
from didymos_learning.models import initial
from didymos_learning.spec import ModelSpec

MODEL = demo_spec(bytes(32)).model


def some(model: ModelSpec, count: int) -> tuple[list[Flat], Flat]:
    """As many parameter sets, and a window each."""
    random, start = np.random.default_rng(7), initial(model, 1)
    params = [start + random.normal(0, 0.2, len(start)).astype(np.float32) for _ in range(count)]
    inputs = random.normal(0, 1.5, (count, model.task.input, model.task.channels)).astype(np.float32)
    return params, inputs


@pytest.mark.parametrize(
    ("arch", "args"),
    [
        ("lstm", {"units": 32, "skip": 0}),
        ("lstm", {"units": 32, "skip": 9}),
        ("mlp", {"width": 32, "skip": 9}),
        ("gru", {"units": 16, "skip": 0}),
    ],
)
def test_each_of_many_twins_forecasts_as_its_own_torch_model(arch: str, args: dict[str, int]) -> None:
    model = model_spec(arch, args, MODEL.task)
    engine, together = Engine(model), Together(model)
    params, inputs = some(model, 140)
    packed = [together.pack(one) for one in params]
    params[3], packed[3] = params[0], packed[0]  # two that share one model
    alone = np.array([engine.change(one, inputs[row : row + 1])[0] for row, one in enumerate(params)])
    apart = np.abs(together.change_each(packed, inputs) - alone) / np.maximum(1.0, np.abs(alone))
    assert apart.max() <= 1e-6


def test_many_windows_of_one_twin_are_forecast_as_by_torch() -> None:
    params, inputs = some(MODEL, 300)
    together = Together(MODEL)
    said = together.change(together.pack(params[0]), inputs)
    alone = Engine(MODEL).change(params[0], inputs)
    assert (np.abs(said - alone) / np.maximum(1.0, np.abs(alone))).max() <= 1e-6


def test_a_twin_with_broken_parameters_spoils_no_other() -> None:
    params, inputs = some(MODEL, 3)
    together = Together(MODEL)
    whole = together.change_each([together.pack(one) for one in params], inputs)
    params[1] = np.full_like(params[1], np.nan)
    said = together.change_each([together.pack(one) for one in params], inputs)
    assert np.isfinite(said).tolist() == [True, False, True]
    assert said[[0, 2]].tolist() == whole[[0, 2]].tolist()


def test_no_twin_forecasts_nothing() -> None:
    nothing = np.empty((0, MODEL.task.input, MODEL.task.channels), np.float32)
    assert len(Together(MODEL).change_each([], nothing)) == 0
    assert len(stack_of(MODEL).change([], nothing[:, None])) == 0


def test_other_lengths_and_architectures_are_refused() -> None:
    stack, together = stack_of(MODEL), Together(MODEL)
    window = np.zeros((2, MODEL.task.input, MODEL.task.channels), np.float32)
    with pytest.raises(LearningError, match="layout_mismatched"):
        stack.change([stack.pack(initial(MODEL, 0))], window[:, None])
    with pytest.raises(LearningError, match="layout_mismatched"):
        together.change_each([together.pack(initial(MODEL, 0))], window)
    with pytest.raises(LearningError, match="layout_mismatched"):
        stack.pack(initial(MODEL, 0)[:-1])
    with pytest.raises(LearningError, match="architecture_unknown"):
        stack_of(model_spec("gru", {"units": 16, "skip": 0}, MODEL.task))
