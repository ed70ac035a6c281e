"""Modules of the installed architectures, and their parameters as flat vectors. torch lives here."""

from importlib import import_module

import numpy as np
import torch

from didymos_learning.architectures import architecture, check_model, sizes_of
from didymos_learning.errors import LearningError
from didymos_learning.layout import Layout
from didymos_learning.models.forecaster import ForecastModule
from didymos_learning.spec import ModelSpec
from didymos_learning.vector import Flat

__all__ = ["ForecastModule", "build", "initial", "read_flat", "write_flat"]


def build(spec: ModelSpec, seed: int) -> ForecastModule:
    """The module of `spec` with the initial parameters of `seed`. Global random state is left as it was.

    Raises LearningError `training.architecture_unknown`, `training.layout_mismatched`.
    """
    check_model(spec)
    place, _, name = architecture(spec.arch).module.partition(":")
    module = getattr(import_module(place), name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = module(sizes_of(spec.arch, spec.version, spec.args, spec.task), spec.task)
    if not isinstance(built, ForecastModule):
        raise LearningError("training.architecture_unknown", arch=spec.arch, detail=f"{name} is no ForecastModule")
    return built


def initial(spec: ModelSpec, seed: int) -> Flat:
    """x_0 of a run: the parameters of `build(spec, seed)`."""
    return read_flat(build(spec, seed), spec.layout)


def _arrays(
    module: torch.nn.Module, layout: Layout
) -> list[tuple[slice, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]]:
    """Each slot's place in the vector beside the memory of its parameter."""
    named = dict(module.named_parameters())
    if {slot.name: slot.shape for slot in layout.slots} != {name: tuple(p.shape) for name, p in named.items()}:
        raise LearningError("training.layout_mismatched", detail="the module has other parameters")
    return [
        (slice(slot.offset, slot.offset + slot.size), named[slot.name].detach().numpy().reshape(-1))
        for slot in layout.slots
    ]


def read_flat(module: torch.nn.Module, layout: Layout) -> Flat:
    """The parameters as a new vector (d,); padding is zero. Raises LearningError `training.layout_mismatched`."""
    flat = np.zeros(layout.size, dtype=np.float32)
    for place, array in _arrays(module, layout):
        flat[place] = array
    return flat


def write_flat(module: torch.nn.Module, layout: Layout, flat: Flat) -> None:
    """Copies `flat` (d,) into the module's parameters in place. Raises LearningError `training.layout_mismatched`."""
    layout.check(flat)
    for place, array in _arrays(module, layout):
        np.copyto(array, flat[place])
