"""Modules by name: parameters as flat vectors, answers that begin at "no change", no batch statistics."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from didymos_learning import LearningError, layout_of
from didymos_learning.engine import Engine
from didymos_learning.models import build, initial, read_flat, write_flat
from didymos_testing.learning import SMALL_TASK, small_spec

ARCHITECTURES = ["lstm", "cnn1d", "transformer"]


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("clock", ["none", "day"])
def test_an_untrained_model_answers_no_change(arch: str, clock: str) -> None:
    spec = small_spec(arch=arch, task=replace(SMALL_TASK, clock=clock)).model  # type: ignore[arg-type]
    out = build(spec, 1)(torch.randn(5, spec.task.input, spec.task.channels))
    assert out.shape == (5,)
    assert not out.any()


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_parameters_come_back_and_padding_is_zero(arch: str) -> None:
    spec = small_spec(arch=arch).model
    flat, other = initial(spec, 1), build(spec, 2)
    write_flat(other, spec.layout, flat)
    assert np.array_equal(read_flat(other, spec.layout), flat)
    used = np.zeros(spec.layout.size, dtype=np.bool_)
    for slot in spec.layout.slots:
        used[slot.offset : slot.offset + slot.size] = True
    assert not flat[~used].any()


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_one_answer_does_not_depend_on_the_others_in_its_batch(arch: str) -> None:
    spec = small_spec(arch=arch).model
    module = build(spec, 1)
    with torch.no_grad():
        module.head.weight.normal_(generator=torch.Generator().manual_seed(1))
        inputs = torch.randn(6, spec.task.input, spec.task.channels, generator=torch.Generator().manual_seed(2))
        # matrix products of another shape round differently in the last bits
        np.testing.assert_allclose(module(inputs)[:1].numpy(), module(inputs[:1]).numpy(), rtol=1e-5, atol=1e-6)
    assert not list(module.buffers())


def test_one_seed_gives_one_start_and_leaves_global_randomness_alone() -> None:
    spec = small_spec().model
    torch.manual_seed(7)
    before = torch.rand(3)
    torch.manual_seed(7)
    assert np.array_equal(initial(spec, 1), initial(spec, 1))
    assert not np.array_equal(initial(spec, 1), initial(spec, 2))
    assert torch.equal(torch.rand(3), before)


def test_a_layout_of_other_parameters_is_refused() -> None:
    spec = small_spec().model
    other = layout_of([("head.bias", (1,))])
    with pytest.raises(LearningError, match=r"training\.layout_mismatched"):
        read_flat(build(spec, 1), other)
    with pytest.raises(LearningError, match=r"training\.layout_mismatched"):
        build(replace(spec, layout=other), 1)
    with pytest.raises(LearningError, match=r"training\.layout_mismatched"):
        Engine(spec).load(np.zeros(3, dtype=np.float32))


def test_the_package_imports_no_torch() -> None:
    names = "strategies, valuation, gate, vector, layout, spec, architectures, recipes, windows, series, intervals"
    program = f"from didymos_learning import {names}; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
