"""Open an evaluation of a run's newest parameters, or another attempt of it; or note that there is none. ADR 138."""

from dataclasses import replace

from didymos_contracts.errors import Problem
from didymos_contracts.errors.training import TRAINING_COHORT_TOO_SMALL
from didymos_kit.clock import Clock
from didymos_learning.error_histogram import LEAST_SUBJECTS

from didymos_training_orchestration.application.admission import admission, shortage
from didymos_training_orchestration.application.hold import hold, store
from didymos_training_orchestration.application.open_round import allowed_us, shortage_of_attempts
from didymos_training_orchestration.application.ports import Consent, Work
from didymos_training_orchestration.application.results import Offer
from didymos_training_orchestration.domain.budget import Booking
from didymos_training_orchestration.domain.cohort import Cohort
from didymos_training_orchestration.domain.evaluation import evaluation_of
from didymos_training_orchestration.domain.round import Refused, Round, RoundState, Step, stepped
from didymos_training_orchestration.domain.run import Run, RunId


async def open_evaluation(
    name: RunId, epoch: int, offer: Offer, first_us: int, consent: Consent, work: Work, clock: Clock
) -> Round | Problem:
    """The evaluation after the last round, open and its budget reserved; or why it cannot begin: then nothing changed.

    Raises as `hold`.
    """
    run = await hold(name, epoch, work)
    found = await admission(run, offer, consent, work.book, clock.now())
    missed = missing(run, found.cohort) or shortage(run, found)
    if missed is not None:
        return missed
    opened = Round(
        evaluation_of(name), run.round, found.cohort, run.params, opened_us=clock.now_us(),
        training_us=await allowed_us(name, first_us, work),
    )  # fmt: skip
    await work.book.book(opened.run, opened.number, opened.cohort.grants, Booking.RESERVED)
    await work.rounds.add(opened)
    await work.registry.note_uses(replace(opened, run=name))
    return opened


async def retry_evaluation(
    failed: Round, epoch: int, offer: Offer, consent: Consent, work: Work, clock: Clock
) -> Round | Problem:
    """The next attempt, with who may take part now; or why there is none. Raises as `hold`."""
    run = await hold(failed.run, epoch, work)
    state = stepped(failed.state, Step.RETRY)
    found = await admission(run, offer, consent, work.book, clock.now(), failed.cohort.grants)
    missed = missing(run, found.cohort) or shortage(run, found)
    if missed is not None or isinstance(state, Refused):
        return missed or shortage_of_attempts(failed)
    following = replace(
        failed, attempt=failed.attempt + 1, cohort=found.cohort, state=state, opened_us=clock.now_us(), reason=""
    )
    gone = set(failed.cohort.grants) - set(found.cohort.grants)
    await work.book.book(failed.run, failed.number, sorted(gone), Booking.RELEASED)
    await work.book.book(failed.run, failed.number, found.cohort.grants, Booking.RESERVED)
    await work.rounds.save(following)
    await work.registry.note_uses(replace(following, run=run.id))
    return following


def missing(run: Run, cohort: Cohort) -> Problem | None:
    """Errors of so few are told by nobody, whatever the specification says."""
    if cohort.size >= LEAST_SUBJECTS:
        return None
    return TRAINING_COHORT_TOO_SMALL.problem(run=run.id, subjects=cohort.size, subjects_needed=LEAST_SUBJECTS)


async def pass_over(name: RunId, epoch: int, code: str, work: Work, clock: Clock) -> Round:
    """Note why there is no evaluation after the last round: the run goes on. Raises as `hold`."""
    run = await hold(name, epoch, work)
    now = clock.now_us()
    passed = Round(
        evaluation_of(name), run.round, Cohort(()), run.params, state=RoundState.ABORTED, opened_us=now, closed_us=now,
        reason=code,
    )  # fmt: skip
    await work.rounds.add(passed)
    await store(run, work)
    return passed
