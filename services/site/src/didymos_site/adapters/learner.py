"""Training on the files of this folder. Torch is loaded by the first order that trains, and by nothing else."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from didymos_contracts.errors.training import TRAINING_SERIES_MALFORMED
from didymos_learning import (
    ClientData,
    Flat,
    LearningError,
    ModelSpec,
    RunSpec,
    TaskSpec,
    client_data,
    errors,
    half_width,
    last_value_errors,
    read_glucose,
    rmse,
)

from didymos_site.application.ports import Line, PersonalModel, Trained
from didymos_site.domain.subject import Subject

if TYPE_CHECKING:
    from didymos_learning.engine import Engine

T = TypeVar("T")


class FolderLearner:
    """Fills `Learner`. One thread of its own: an order that was given up does not train beside the next one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="learner")
        self._data: dict[tuple[str, TaskSpec], ClientData] = {}
        self._engine: tuple[ModelSpec, Engine] | None = None

    def shut(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def train(
        self, spec: RunSpec, params: Flat, round_: int, subjects: Sequence[Subject], gradient: Flat | None
    ) -> Trained:
        return await self._alone(lambda: self._train(spec, params, round_, subjects, gradient))

    async def personalise(self, spec: RunSpec, params: Flat, subject: Subject) -> PersonalModel:
        return await self._alone(lambda: self._personalise(spec, params, subject))

    async def _alone(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _train(
        self, spec: RunSpec, params: Flat, round_: int, subjects: Sequence[Subject], gradient: Flat | None
    ) -> Trained:
        from didymos_learning.engine import train_chunk

        clients = [self._client(subject, spec.model.task) for subject in subjects]
        chunk = train_chunk(self._engine_of(spec.model), clients, params, spec, round_, gradient)
        scores = {subject.twin: one.score or 0.0 for subject, one in zip(subjects, chunk.trained, strict=True)}
        return Trained(chunk.total, chunk.weight, tuple(subject.twin for subject in subjects), scores)

    def _personalise(self, spec: RunSpec, params: Flat, subject: Subject) -> PersonalModel:
        from didymos_learning.personal import own_only, personalise

        engine, client = self._engine_of(spec.model), self._client(subject, spec.model.task)
        made = personalise(engine, client, params, spec)
        own = own_only(engine, client, spec)

        def error(of: Flat) -> float:
            return finite(rmse(errors(engine.predict(of, client.test), client.test, client.scale)))

        line = Line(
            twin=subject.twin, accepted=made.decision.accepted, reason=made.decision.verdict,
            candidate=made.candidate.name, bound=finite(made.decision.bound), gate_windows=made.decision.windows,
            test_windows=len(client.test), rmse_last_value=finite(rmse(last_value_errors(client.test))),
            rmse_own=error(own.params), rmse_global=error(params), rmse_personal=error(made.params),
            interval=self._interval(engine, client, made.params),
        )  # fmt: skip
        scale = client.scale
        return PersonalModel(line, (scale.level, scale.spread, scale.step, scale.move), made.params)

    def _interval(self, engine: "Engine", client: ClientData, params: Flat) -> float:
        """Half the width of the band, from gate-b; 0 where there is too little of it."""
        try:
            return half_width(errors(engine.predict(params, client.gate_b), client.gate_b, client.scale))
        except LearningError:
            return 0.0

    def _engine_of(self, model: ModelSpec) -> "Engine":
        import torch
        from didymos_learning.engine import Engine

        if self._engine is None or self._engine[0] != model:
            torch.set_num_threads(1)
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


def finite(value: Any) -> float:  # noqa: ANN401 - a number of some library
    """What a report can say: 0 for a figure that there is not."""
    number = float(value)
    return number if np.isfinite(number) else 0.0
