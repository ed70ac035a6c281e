"""From rows of many columns to what a client trains on: regression and classification.

A reader cuts the four parts by subject, run or time, never by row, and makes the windows; here they are checked and
scaled. Every column is scaled by the fit part of its own client, which is never sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from didymos_learning.errors import LearningError
from didymos_learning.series import Times, Values
from didymos_learning.spec import TaskSpec
from didymos_learning.windows import LEAST_SPREAD, ClientData, ClientFacts, Scale, Windows

FURTHEST: Final = 10.0  # standard deviations that an input may lie from its mean: a broken sensor is not louder


@dataclass(frozen=True, slots=True)
class Examples:
    """n windows as they were measured: `inputs` (n, input, columns); `truth` (n,), in the unit of the task or numbers
    of classes; `naive` (n,): the answer without a model; `times` (n,), ascending, of when the answer was asked; `units`
    (n,): of which engine, run or day each is, where the model is for further ones (`gate.decide`)."""

    inputs: NDArray[np.float32]
    truth: Values
    naive: Values
    times: Times
    units: Times | None = None


def example_data(subject: str, parts: Sequence[Examples], task: TaskSpec, plain: Sequence[int] = ()) -> ClientData:
    """One subject's fit, gate-a, gate-b and test, scaled by fit alone; but columns `plain`, which mean the same of all.

    Raises LearningError `training.series_malformed` (shapes, NaN, a class that is none, times that go back),
    `training.series_short` for an empty fit part.
    """
    if len(parts) != 4 or task.kind == "forecast":
        raise LearningError("training.series_malformed", subject=subject, detail="four parts to regress or classify")
    for part in parts:
        _check(subject, part, task)
    fit = parts[0]
    if not len(fit.truth):
        raise LearningError("training.series_short", subject=subject, readings=0, detail="no window to fit")
    rows = fit.inputs.reshape(-1, task.columns).astype(np.float64)
    level, spread = rows.mean(axis=0), np.maximum(rows.std(axis=0), LEAST_SPREAD)
    level[list(plain)], spread[list(plain)] = 0.0, 1.0
    move = np.sqrt(np.mean(np.square(fit.truth - fit.naive)))
    scale = Scale(0.0, 1.0, 1.0, 1.0 if task.kind == "classify" else max(float(move), LEAST_SPREAD))
    cut, gate_a, gate_b, test = (_windows(part, task, scale, level, spread) for part in parts)
    return ClientData(subject, task, scale, cut, gate_a, gate_b, test, ClientFacts(len(rows), 0, 0, 0), parts[2].units)


def _check(subject: str, part: Examples, task: TaskSpec) -> None:
    count = len(part.truth)
    shaped = part.inputs.shape == (count, task.input, task.columns)
    if not shaped or part.truth.shape != (count,) or part.naive.shape != (count,) or part.times.shape != (count,):
        raise LearningError("training.series_malformed", subject=subject, detail=f"inputs {part.inputs.shape}")
    if part.units is not None and part.units.shape != (count,):
        raise LearningError("training.series_malformed", subject=subject, detail=f"units {part.units.shape}")
    if not (np.isfinite(part.inputs).all() and np.isfinite(part.truth).all() and np.isfinite(part.naive).all()):
        raise LearningError("training.series_malformed", subject=subject, detail="values are finite")
    if (np.diff(part.times) < 0).any():
        raise LearningError("training.series_malformed", subject=subject, detail="times ascend")
    if task.kind == "classify" and not np.isin(part.truth, np.arange(len(task.classes))).all():
        raise LearningError("training.series_malformed", subject=subject, detail="no such class")


def _windows(part: Examples, task: TaskSpec, scale: Scale, level: Values, spread: Values) -> Windows:
    inputs = np.clip((part.inputs - level) / spread, -FURTHEST, FURTHEST).astype(np.float32)
    targets = part.truth if task.kind == "classify" else (part.truth - part.naive) / scale.move
    return Windows(inputs, targets.astype(np.float32), part.naive, part.truth, part.times)
