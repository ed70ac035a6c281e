"""Make a run under a final agreement."""

from dataclasses import dataclass

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.training import (
    TRAINING_AGREEMENT_MISMATCHED,
    TRAINING_RUN_STATE,
    TRAINING_SPEC_MALFORMED,
)
from didymos_did import Did
from didymos_kit.clock import Clock
from didymos_kit.ids import Ids
from didymos_learning import BySum, RunSpec, Strategy, check_model, check_stackable, check_strategy
from didymos_learning.error_histogram import LEAST_SUBJECTS
from didymos_learning.strategies import plain

from didymos_training_orchestration.application.ports import Work
from didymos_training_orchestration.domain.run import ENDED, ClientsKind, Run, RunId, RunState, Terms

SITES, SURVIVING = 5, 4  # fewest under masks: privacy.md section 1


@dataclass(frozen=True, slots=True)
class CreateRun:
    buyer: Did
    spec: RunSpec
    clients: ClientsKind = "sites"


async def create_run(request: CreateRun, terms: Terms, work: Work, clock: Clock, ids: Ids) -> Run:
    """A draft. `terms` are those of the agreement, which is final.

    Raises PLATFORM_NOT_FOUND for an agreement of others, TRAINING_AGREEMENT_MISMATCHED, TRAINING_RUN_STATE while the
    agreement has another run; LearningError and TRAINING_SPEC_MALFORMED for a specification that cannot run.
    """
    if request.buyer != terms.buyer:  # not 403: a stranger must not learn that the agreement exists
        raise PLATFORM_NOT_FOUND.problem(agreement=terms.agreement)
    check_spec(request.spec, request.clients)
    if request.clients == "simulated" and request.spec.masking != "none":
        raise TRAINING_SPEC_MALFORMED.problem(pointer="/spec/masking", detail="simulated clients sum in clear")
    if terms.spec not in (b"", request.spec.digest):
        raise TRAINING_AGREEMENT_MISMATCHED.problem(agreement=terms.agreement, spec=request.spec.digest.hex())
    if terms.rounds and request.spec.rounds > terms.rounds:
        raise TRAINING_AGREEMENT_MISMATCHED.problem(agreement=terms.agreement, rounds=terms.rounds)
    for other in await work.runs.under(terms.agreement) if terms.agreement else ():
        if other.state not in ENDED or other.state is RunState.COMPLETED:
            raise TRAINING_RUN_STATE.problem(run=other.id, state=other.state.value, detail="the agreement has a run")
    run = Run(RunId(str(ids.uuid7())), terms, request.spec, request.clients, clock.now())
    await work.runs.add(run)
    return run


def check_spec(spec: RunSpec, clients: ClientsKind = "sites") -> None:
    """Raises LearningError `training.{architecture_unknown,layout_mismatched,strategy_unknown,
    strategy_needs_individual,strategy_not_masked,spec_malformed}`, TRAINING_SPEC_MALFORMED."""
    check_model(spec.model)
    _check_members(check_strategy(spec), spec, clients)
    if spec.engine == "stacked":
        check_stackable(spec)
    _check_evaluation(spec, clients)
    if spec.masking != "pairwise":
        return
    if spec.local.clip is None:
        raise TRAINING_SPEC_MALFORMED.problem(pointer="/spec/local/clip", detail="masks need a bound of each update")
    if spec.cohort.sites < SITES or spec.cohort.surviving < SURVIVING:
        raise TRAINING_SPEC_MALFORMED.problem(
            pointer="/spec/cohort", detail=f"masks need {SITES} sites, of which {SURVIVING} survive"
        )


def _check_evaluation(spec: RunSpec, clients: ClientsKind) -> None:
    """Members tell errors together, under masks and among enough of them, or not at all."""
    if not spec.evaluation.every:
        return
    if clients != "sites" or spec.masking != "pairwise":
        raise TRAINING_SPEC_MALFORMED.problem(
            pointer="/spec/evaluation", detail="sites evaluate under pairwise masks; other runs are judged in clear"
        )
    if spec.cohort.subjects < LEAST_SUBJECTS:
        raise TRAINING_SPEC_MALFORMED.problem(
            pointer="/spec/cohort/subjects", detail=f"errors are told of {LEAST_SUBJECTS} subjects together at least"
        )


def _check_members(strategy: Strategy, spec: RunSpec, clients: ClientsKind) -> None:
    """Whether these members can send what the strategy takes. One that compares takes the mean of each member."""
    if isinstance(strategy, BySum) and not strategy.waits:
        raise TRAINING_SPEC_MALFORMED.problem(
            pointer="/spec/strategy", detail=f"{strategy.name} has no rounds: it runs in one process, not here"
        )
    more = isinstance(strategy, BySum) and strategy.contribute is not plain
    if clients == "sites" and (more or spec.strategy.compression.kind != "none"):
        raise TRAINING_SPEC_MALFORMED.problem(
            pointer="/spec/strategy",
            detail=f"sites send one weighted update; {strategy.name} or its compression needs simulated clients",
        )
