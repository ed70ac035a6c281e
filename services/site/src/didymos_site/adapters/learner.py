"""Training on the files of this folder. Torch is loaded by the first order that trains, and by nothing else."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from didymos_contracts.errors.training import TRAINING_SERIES_MALFORMED
from didymos_learning import (
    ClientData,
    Flat,
    ModelSpec,
    RunSpec,
    TaskSpec,
    client_data,
    read_glucose,
)

from didymos_site.application.ports import Line, PersonalModel, Trained
from didymos_site.domain.subject import Subject

if TYPE_CHECKING:
    from didymos_learning.engine import Engine

T = TypeVar("T")


class Pace:
    """After work that took t seconds of a core, the next begins t (1 / share - 1) seconds later. For one thread."""

    def __init__(self, share: float) -> None:
        self._rest, self._rested = 1.0 / share - 1.0, 0.0

    def run(self, work: Callable[[], T]) -> T:
        time.sleep(max(0.0, self._rested - time.monotonic()))
        begun = time.thread_time()
        try:
            return work()
        finally:
            self._rested = time.monotonic() + (time.thread_time() - begun) * self._rest


class FolderLearner:
    """Fills `Learner`. One thread of its own: an order that was given up does not train beside the next one."""

    def __init__(self, folder: Path, cpu_share: float = 1.0) -> None:
        self._folder, self._pace = folder, Pace(cpu_share)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="learner")
        self._data: dict[tuple[str, TaskSpec], ClientData] = {}
        self._engine: tuple[ModelSpec, Engine] | None = None

    def shut(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def train(
        self, spec: RunSpec, params: Flat, round_: int, subjects: Sequence[Subject], gradient: Flat | None
    ) -> Trained:
        return await self._alone(lambda: self._train(spec, params, round_, subjects, gradient))

    async def evaluate(self, spec: RunSpec, params: Flat, subjects: Sequence[Subject]) -> Trained:
        return await self._alone(lambda: self._evaluate(spec, params, subjects))

    async def personalise(self, spec: RunSpec, params: Flat, subject: Subject) -> PersonalModel:
        return await self._alone(lambda: self._personalise(spec, params, subject))

    async def _alone(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._pace.run, work)

    def _train(
        self, spec: RunSpec, params: Flat, round_: int, subjects: Sequence[Subject], gradient: Flat | None
    ) -> Trained:
        from didymos_learning.engine import train_chunk

        clients = [self._client(subject, spec.model.task) for subject in subjects]
        chunk = train_chunk(self._engine_of(spec.model), clients, params, spec, round_, gradient)
        scores = {subject.twin: one.score or 0.0 for subject, one in zip(subjects, chunk.trained, strict=True)}
        return Trained(chunk.total, chunk.weight, tuple(subject.twin for subject in subjects), scores)

    def _evaluate(self, spec: RunSpec, params: Flat, subjects: Sequence[Subject]) -> Trained:
        from didymos_learning.evaluate_chunk import evaluate_chunk

        clients = [self._client(subject, spec.model.task) for subject in subjects]
        found = evaluate_chunk(self._engine_of(spec.model), clients, params, spec.evaluation.edges)
        counted = tuple(subject.twin for subject in subjects if str(subject.twin) in found.subjects)
        return Trained(found.total, float(len(counted)), counted, {})

    def _personalise(self, spec: RunSpec, params: Flat, subject: Subject) -> PersonalModel:
        from didymos_learning.personal import own_only, personalise
        from didymos_learning.report import evaluate, served

        engine, client = self._engine_of(spec.model), self._client(subject, spec.model.task)
        made = personalise(engine, client, params, spec)
        said = evaluate(engine, client, params, own_only(engine, client, spec), made)
        line = Line(
            twin=subject.twin, accepted=made.decision.accepted, reason=said.verdict, candidate=said.candidate,
            bound=finite(said.bound), gate_windows=said.gate_windows, test_windows=said.windows,
            rmse_last_value=finite(said.last_value_rmse), rmse_own=finite(said.own_rmse),
            rmse_global=finite(said.global_rmse), rmse_personal=finite(said.personal_rmse),
            interval=finite(said.width), rmse_gate=finite(said.gate_rmse), input_shift=finite(said.shift),
            gain_low=finite(said.gain_low), gain_high=finite(said.gain_high),
        )  # fmt: skip
        return PersonalModel(line, served(engine, client, made).to_bytes())

    def _engine_of(self, model: ModelSpec) -> "Engine":
        from didymos_learning.devices import one_thread
        from didymos_learning.engine import Engine

        if self._engine is None or self._engine[0] != model:
            one_thread()
            self._engine = (model, Engine(model))
        return self._engine[1]

    def _client(self, subject: Subject, task: TaskSpec) -> ClientData:
        """The subject's windows, made once. Its name in the run is its twin, so that randomness follows the twin."""
        name = (str(subject.twin), task)
        if name not in self._data:
            people = read_glucose(self._folder / subject.series)
            person = subject.person or next(iter(people), "")
            if person not in people:
                raise TRAINING_SERIES_MALFORMED.problem(detail="the file has no such person", file=subject.series)
            self._data[name] = client_data(str(subject.twin), people[person], task)
        return self._data[name]


def finite(value: float | None) -> float:
    """What a report can say: 0 for a figure that there is not."""
    return float(value) if value is not None and np.isfinite(value) else 0.0
