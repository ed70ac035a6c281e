"""What training made of one twin's data, for its owner: what can be erased, and what cannot. learning.md section 11."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Did, GrantId, TwinId

from didymos_training_orchestration.application.ports import Work
from didymos_training_orchestration.domain.budget import Account, Booking
from didymos_training_orchestration.domain.evaluation import evaluation_of
from didymos_training_orchestration.domain.model import Model, ModelKind
from didymos_training_orchestration.domain.round import Round
from didymos_training_orchestration.domain.run import Run


@dataclass(frozen=True, slots=True)
class Use:
    """One round that asked for the twin, under which grant, at which site, and what became of the booking."""

    round: Round
    grant: GrantId
    site: Did | None
    booking: Booking


@dataclass(frozen=True, slots=True)
class Trace:
    """What one run did with the twin. `shared`: its models for everybody, each with how many were made from it."""

    run: Run
    uses: Sequence[Use]
    shared: Sequence[tuple[Model, int]]


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """`own`: the twin's models; `accounts`: what was drawn under each of its grants, over all runs."""

    twin: TwinId
    erased: bool
    traces: Sequence[Trace]
    own: Sequence[Model]
    reported: int  # lines that sites reported of the twin and that are kept
    accounts: Mapping[GrantId, Account]


async def report_erasure(twin: TwinId, caller: Did, owner: Did | None, work: Work, *, erased: bool) -> ErasureReport:
    """For the owner of the twin, also of an erased one. Raises PLATFORM_NOT_FOUND."""
    if owner is None or caller != owner:
        raise PLATFORM_NOT_FOUND.problem(twin=twin)
    asked = await work.registry.uses(twin)
    traces = []
    for name in dict.fromkeys(run for run, _ in asked):
        run = await work.runs.find(name)
        if run is not None:
            grants = [grant for other, grant in asked if other == name]
            traces.append(Trace(run, await _uses(twin, run, grants, work), await _shared(run, work)))
    own = await work.registry.of_twin(twin)
    reported = len(await work.registry.reports_of(twin))
    accounts = await work.book.accounts([grant for _, grant in asked])
    return ErasureReport(twin, erased, traces, own, reported, accounts)


async def _uses(twin: TwinId, run: Run, grants: Sequence[GrantId], work: Work) -> list[Use]:
    """Rounds of training and evaluations, by number; an evaluation behind the round it follows."""
    found = []
    for name in (run.id, evaluation_of(run.id)):
        rounds = {round_.number: round_ for round_ in await work.rounds.of(name)}
        for grant in grants:
            for number, booking in (await work.book.entries(name, grant)).items():
                if number in rounds:
                    found.append(Use(rounds[number], grant, _site_of(twin, rounds[number]), booking))
    return sorted(found, key=lambda use: (use.round.number, use.round.run))


def _site_of(twin: TwinId, round_: Round) -> Did | None:
    for member in round_.cohort.members:
        if any(subject.twin == twin for subject in member.subjects):
            return member.name
    return None


async def _shared(run: Run, work: Work) -> list[tuple[Model, int]]:
    models = [model for model in await work.registry.of_run(run.id) if model.kind is not ModelKind.PERSONAL]
    return [(model, len(await work.registry.children(model.id))) for model in models]
