"""What parties of a run may read of it. Others learn no more than of a run that is not there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Did

from didymos_training_orchestration.application.ports import Work
from didymos_training_orchestration.domain.contribution import SubjectReport
from didymos_training_orchestration.domain.evaluation import Tally, evaluation_of
from didymos_training_orchestration.domain.judgement import Judgement
from didymos_training_orchestration.domain.model import Model, ModelId, ModelKind, Parent
from didymos_training_orchestration.domain.round import Round
from didymos_training_orchestration.domain.run import Run, RunId


@dataclass(frozen=True, slots=True)
class Together:
    """What members evaluated together: a round of its own each, by the round it follows; with a tally, or a reason."""

    edges: Sequence[float]
    rounds: Mapping[int, Round]
    tallies: Mapping[int, Tally]


@dataclass(frozen=True, slots=True)
class Rounds:
    rounds: Sequence[Round]
    outcomes: Mapping[int, Mapping[tuple[int, Did], str]]
    together: Together


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`reports`: lines of the sites' own; `judgement`: None until an ended run was judged."""

    reports: Sequence[SubjectReport]
    judgement: Judgement | None
    together: Together


@dataclass(frozen=True, slots=True)
class Lineage:
    model: Model
    parents: Sequence[Parent]
    children: Sequence[Parent]


async def read_run(name: RunId, party: Did, work: Work) -> Run:
    """Raises PLATFORM_NOT_FOUND."""
    run = await work.runs.find(name)
    if run is None or party not in (run.terms.buyer, run.terms.provider):
        raise PLATFORM_NOT_FOUND.problem(run=name)
    return run


async def read_rounds(name: RunId, party: Did, work: Work) -> Rounds:
    """Raises PLATFORM_NOT_FOUND."""
    run = await read_run(name, party, work)
    rounds = await work.rounds.of(name)
    outcomes = {each.number: await work.rounds.outcomes(name, each.number) for each in rounds}
    return Rounds(rounds, outcomes, await _together(run, work))


async def read_evaluation(name: RunId, party: Did, work: Work) -> Evaluation:
    """What sites reported, found together, and how checkpoints were judged. Raises PLATFORM_NOT_FOUND."""
    run = await read_run(name, party, work)
    reports, judgement = await work.registry.reports(name), await work.registry.judgement(name)
    return Evaluation(reports, judgement, await _together(run, work))


async def _together(run: Run, work: Work) -> Together:
    rounds = {each.number: each for each in await work.rounds.of(evaluation_of(run.id))}
    tallies = {each.round: each for each in await work.registry.tallies(run.id)}
    return Together(run.spec.evaluation.edges, rounds, tallies)


async def read_models(name: RunId, party: Did, work: Work) -> Sequence[Model]:
    """Raises PLATFORM_NOT_FOUND."""
    await read_run(name, party, work)
    return await work.registry.of_run(name)


async def read_model(name: ModelId, party: Did, owner: Did | None, work: Work) -> Lineage:
    """Shared models for the parties of their run, personal ones for the owner of the twin, too.

    `owner`: of the twin, as the tail of identity knows it. Raises PLATFORM_NOT_FOUND.
    """
    model = await work.registry.find(name)
    if model is None:
        raise PLATFORM_NOT_FOUND.problem(model=name)
    if not (model.kind is ModelKind.PERSONAL and owner == party and owner is not None):
        run = await work.runs.find(model.run)
        if run is None or party not in (run.terms.buyer, run.terms.provider):
            raise PLATFORM_NOT_FOUND.problem(model=name)
    return Lineage(model, await work.registry.parents(name), await work.registry.children(name))
