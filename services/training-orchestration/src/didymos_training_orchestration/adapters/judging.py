"""Held-out losses of checkpoints: on the validation data of the run, or on the test part of simulated clients."""

import asyncio
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

import numpy as np
from didymos_contracts.errors import Problem
from didymos_learning import Flat, RunSpec, Windows

from didymos_training_orchestration.adapters.mathematics import TorchMathematics
from didymos_training_orchestration.adapters.simulated_clients import load_clients
from didymos_training_orchestration.adapters.window_shards import is_shards
from didymos_training_orchestration.domain.judgement import Judgement
from didymos_training_orchestration.domain.run import Run

MOST_WINDOWS: Final = 2000
NOTHING: Final = Judgement("none: sites keep their losses, and the run commits to no validation data")


class TorchJudge:
    """`source`: series of simulated clients, of which the newest fifth is never trained on."""

    def __init__(self, mathematics: TorchMathematics, source: Path | None) -> None:
        self._mathematics, self._source = mathematics, source

    async def judge(self, run: Run, checkpoints: Sequence[tuple[int, Flat]]) -> Judgement:
        """Of an ended run. What cannot be judged says why."""
        return await asyncio.to_thread(self._judged, run, checkpoints)

    def _judged(self, run: Run, checkpoints: Sequence[tuple[int, Flat]]) -> Judgement:
        spec = run.spec
        try:
            found = self._held_out(run)
        except Problem as problem:
            return Judgement(f"none: {problem.row.code}")
        if found is None or not checkpoints:
            return NOTHING
        source, windows = found
        return Judgement(
            source, len(windows), float(np.mean(np.square(windows.targets, dtype=np.float64))),
            tuple(zip((number for number, _ in checkpoints), _losses(spec, windows, checkpoints), strict=True)),
        )  # fmt: skip

    def _held_out(self, run: Run) -> tuple[str, Windows] | None:
        if run.spec.validation:
            windows = self._mathematics.windows_of(run.spec)
            return "the validation data that the run commits to: people who train nothing", _some(windows)
        if run.clients != "simulated" or self._source is None or is_shards(self._source):
            return None
        parts = [client.test for client in load_clients(self._source, run.spec.model.task) if len(client.test)]
        return ("the newest fifth of each simulated client's time", _some(_joined(parts))) if parts else None


def _losses(spec: RunSpec, windows: Windows, checkpoints: Sequence[tuple[int, Flat]]) -> list[float]:
    from didymos_learning.devices import one_thread
    from didymos_learning.engine import Engine
    from didymos_learning.personal import squared_losses

    one_thread()
    engine = Engine(spec.model)
    return [float(squared_losses(engine, params, windows).mean()) for _, params in checkpoints]


def _joined(parts: Sequence[Windows]) -> Windows:
    return Windows(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Windows)))


def _some(windows: Windows) -> Windows:
    """At most `MOST_WINDOWS`, at even distances."""
    step = -(-len(windows) // MOST_WINDOWS)
    return Windows(*(getattr(windows, field.name)[::step] for field in fields(Windows)))
