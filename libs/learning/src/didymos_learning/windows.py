"""From a series to what a client trains on: windows that never cross a gap, parts that never share a reading.

The rows of a series are cut in order of time: fit 60, gate-a 10, gate-b 10, test 20 %. A window lies wholly inside its
part, so two windows of different parts have anchors (last input rows) at least `task.span` rows apart: the purge gap.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_learning.errors import LearningError
from didymos_learning.series import Series, Times, Values
from didymos_learning.spec import TaskSpec

Inputs: TypeAlias = NDArray[np.float32]  # (n, input, channels)
Targets: TypeAlias = NDArray[np.float32]  # (n,)
CUTS: Final = (0.6, 0.7, 0.8)  # fit | gate-a | gate-b | test
GAP: Final = 1.5  # periods between two readings that are not neighbours any more; half a period: too close
DAY_US: Final = 86_400_000_000
LEAST_SPREAD: Final = 1e-3  # in units of the series: a constant one is not blown up


@dataclass(frozen=True, slots=True)
class Scale:
    """How one client's readings become numbers near one, from its fit part alone. A personal slot: it is never sent.

    `level`, `spread`: mean and standard deviation of the values. `step`: of the change to the next reading; `move`: of
    the change over the horizon (both root mean square).
    """

    level: float
    spread: float
    step: float
    move: float


@dataclass(frozen=True, slots=True)
class Windows:
    """n windows: `inputs` (n, input, channels); `targets` (n,), the scaled change, or the number of the class; `last`,
    the naive answer, and `truth` (n,) in the unit of the series (numbers of classes); `anchors` (n,), microseconds."""

    inputs: Inputs
    targets: Targets
    last: Values
    truth: Values
    anchors: Times

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """What may be said of a client's data inside its site. Never leaves a site under masks."""

    readings: int
    gaps: int
    duplicates: int
    disordered: int


@dataclass(frozen=True, slots=True)
class ClientData:
    """One subject's data, cut and scaled. Training reads `fit`; choosing reads `gate_a`; the gate reads `gate_b`.

    `gate_units` (n,): of which engine, run or day each window of `gate_b` is; None where it is one series in time.
    """

    subject: str
    task: TaskSpec
    scale: Scale
    fit: Windows
    gate_a: Windows
    gate_b: Windows
    test: Windows
    facts: ClientFacts
    gate_units: Times | None = None


def client_data(subject: str, series: Series, task: TaskSpec) -> ClientData:
    """Cuts, scales and windows a series. Raises LearningError `training.series_short` if its fit part has no window,
    `training.spec_malformed` for a task that is no forecast (`examples` makes the data of those)."""
    if task.kind != "forecast":
        raise LearningError("training.spec_malformed", detail=f"a series of one property is no data to {task.kind}")
    joined = _joined(series.times, task)
    edges = [0, *(int(cut * len(series)) for cut in CUTS), len(series)]
    anchors = [_anchors(joined, begin, end, task) for begin, end in pairwise(edges)]
    if not len(anchors[0]):
        raise LearningError("training.series_short", subject=subject, readings=len(series), detail="no window to fit")
    scale = _scale(series.values[: edges[1]], joined[: edges[1]], anchors[0], task)
    fit, gate_a, gate_b, test = (_windows(series, part, task, scale) for part in anchors)
    gaps = int((~joined[1:]).sum())
    facts = ClientFacts(len(series), gaps, series.duplicates, series.disordered)
    return ClientData(subject, task, scale, fit, gate_a, gate_b, test, facts)


def validation_windows(people: Iterable[Series], task: TaskSpec) -> Windows:
    """Windows of people who train nothing, one after the other: one in `horizon`, each person scaled by all of theirs.

    Raises LearningError `training.series_short` if someone has none.
    """
    found = []
    for series in people:
        joined = _joined(series.times, task)
        anchors = _anchors(joined, 0, len(series), task)
        if not len(anchors):
            raise LearningError("training.series_short", readings=len(series), detail="no window")
        scale = _scale(series.values, joined, anchors, task)
        found.append(_windows(series, anchors[:: task.horizon], task, scale))
    names = [field.name for field in fields(Windows)]
    return Windows(*(np.concatenate([getattr(windows, name) for windows in found]) for name in names))


def scale_of(series: Series, task: TaskSpec) -> Scale:
    """The scale of a series that has no fit part: all of it. Raises LearningError `training.series_short`."""
    joined = _joined(series.times, task)
    anchors = _anchors(joined, 0, len(series), task)
    if not len(anchors):
        raise LearningError("training.series_short", readings=len(series), detail="no window")
    return _scale(series.values, joined, anchors, task)


def inputs_of(times: Times, values: Values, task: TaskSpec, scale: Scale) -> Inputs:
    """n windows of `input` readings, times and values (n, input), as a model reads them (n, input, channels)."""
    out = np.empty((*values.shape, task.channels), dtype=np.float32)
    out[..., 0] = (values - scale.level) / scale.spread
    out[:, 0, 1] = 0.0
    out[:, 1:, 1] = np.diff(values, axis=1) / scale.step
    if task.clock == "day":
        angle = (times % DAY_US) * (2.0 * np.pi / DAY_US)
        out[..., 2] = np.sin(angle)
        out[..., 3] = np.cos(angle)
    return out


def recent_inputs(series: Series, task: TaskSpec, scale: Scale) -> Inputs | None:
    """The newest window of a series (1, input, channels), or None: too short, or a gap in its last `input` readings."""
    if len(series) < task.input or not _joined(series.times[-task.input :], task)[1:].all():
        return None
    times, values = series.times[None, -task.input :], series.values[None, -task.input :]
    return inputs_of(times, values, task, scale)


def _joined(times: Times, task: TaskSpec) -> NDArray[np.bool_]:
    """(n,): whether a row follows the row before it without a gap. The first follows none."""
    out = np.zeros(len(times), dtype=np.bool_)
    apart = np.diff(times) / (task.period_s * 1e6)
    out[1:] = (apart > 1.0 - (GAP - 1.0)) & (apart < GAP)
    return out


def _anchors(joined: NDArray[np.bool_], begin: int, end: int, task: TaskSpec) -> NDArray[np.intp]:
    """Rows that end the inputs of a window which lies, with its target, in rows begin..end-1 and in one run."""
    rows = np.arange(begin, end)
    starts = np.where(joined[begin:end], begin, rows)
    run = rows - np.maximum.accumulate(starts) + 1 if len(rows) else rows  # rows of this run so far
    return rows[run >= task.span] - task.horizon


def _scale(values: Values, joined: NDArray[np.bool_], anchors: NDArray[np.intp], task: TaskSpec) -> Scale:
    steps = np.diff(values)[joined[1:]]
    moves = values[anchors + task.horizon] - values[anchors]
    return Scale(
        float(values.mean()),
        max(float(values.std()), LEAST_SPREAD),
        max(float(np.sqrt(np.mean(steps * steps))), LEAST_SPREAD),
        max(float(np.sqrt(np.mean(moves * moves))), LEAST_SPREAD),
    )


def _windows(series: Series, anchors: NDArray[np.intp], task: TaskSpec, scale: Scale) -> Windows:
    rows = anchors[:, None] + np.arange(1 - task.input, 1)
    last, truth = series.values[anchors], series.values[anchors + task.horizon]
    targets = ((truth - last) / scale.move).astype(np.float32)
    inputs = inputs_of(series.times[rows], series.values[rows], task, scale)
    return Windows(inputs, targets, last, truth, series.times[anchors])
