"""Judge the checkpoints of an ended run, once: apart from its rounds, which it must not slow down."""

from collections.abc import Sequence
from typing import Protocol

from didymos_learning import Flat, flat_view

from didymos_training_orchestration.application.ports import Objects, Units, Work
from didymos_training_orchestration.domain.judgement import Judgement, stretches
from didymos_training_orchestration.domain.round import Round
from didymos_training_orchestration.domain.run import Digest, Run, RunId


class Judge(Protocol):
    async def judge(self, run: Run, checkpoints: Sequence[tuple[int, Flat]]) -> Judgement:
        """Of an ended run, from the numbers and parameters (d,) of its rounds."""


async def judge_run(name: RunId, judge: Judge, units: Units, objects: Objects) -> Judgement | None:
    """What is stored from now on. Rounds of milliseconds keep few checkpoints: one that is gone is passed over."""

    async def read(work: Work) -> tuple[Run | None, Sequence[Round]]:
        return await work.runs.find(name), await work.rounds.of(name)

    run, rounds = await units(read)
    if run is None:
        return None
    kept: list[tuple[int, Flat]] = []
    for stretch in stretches(rounds):
        for number, digest in stretch:
            params = await _params(run, digest, objects)
            if params is not None:
                kept.append((number, params))
                break
    made = await judge.judge(run, kept)
    await units(lambda work: work.registry.judged(name, made))
    return made


async def _params(run: Run, digest: Digest, objects: Objects) -> Flat | None:
    raw = await objects.get(digest)
    return None if raw is None else flat_view(raw, run.spec.model.layout.size)
