"""Start, pause, resume and cancel a run: what its buyer may ask for."""

from dataclasses import replace

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Did
from didymos_kit.clock import Clock

from didymos_training_orchestration.application.admission import admission, shortage
from didymos_training_orchestration.application.events import RoundAborted, RunFailed
from didymos_training_orchestration.application.hold import move
from didymos_training_orchestration.application.ports import Consent, Work
from didymos_training_orchestration.application.results import Offer
from didymos_training_orchestration.domain.budget import Booking
from didymos_training_orchestration.domain.evaluation import evaluation_of
from didymos_training_orchestration.domain.round import IN_FLIGHT, RoundState
from didymos_training_orchestration.domain.run import Move, Run, RunId, RunState

CANCELLED = "cancelled"
OWNER = "owner"  # why a run that its buyer paused waits


async def start_run(name: RunId, buyer: Did, offer: Offer | None, consent: Consent, work: Work, clock: Clock) -> Run:
    """The run, running. `offer` None: this process has no clients, so the one that drives looks at the cohort.

    Raises PLATFORM_NOT_FOUND, TRAINING_RUN_STATE, TRAINING_COHORT_TOO_SMALL, TRAINING_BUDGET_EXHAUSTED.
    """
    run = await owned(name, buyer, work)
    if run.state is RunState.RUNNING:
        return run
    if offer is not None and run.state in (RunState.DRAFT, RunState.READY):
        found = await admission(run, offer, consent, work.book, clock.now())
        missed = shortage(run, found)
        if missed is not None:
            raise missed
    if run.state is RunState.DRAFT:
        run = await move(run, Move.PREPARE, work)
    return await move(run, Move.START, work)


async def pause_run(name: RunId, buyer: Did, work: Work) -> Run:
    """A round in flight stays as it is; `resume_run` goes on with it. Raises PLATFORM_NOT_FOUND, TRAINING_RUN_STATE."""
    return await move(await owned(name, buyer, work), Move.PAUSE, work, OWNER)


async def resume_run(name: RunId, buyer: Did, work: Work) -> Run:
    """Raises PLATFORM_NOT_FOUND, TRAINING_RUN_STATE."""
    run = await owned(name, buyer, work)
    return await move(replace(run, aborted=0), Move.RESUME, work)


async def cancel_run(name: RunId, buyer: Did, work: Work) -> Run:
    """End it for good. A round in flight is aborted; what it reserved is free again unless the sum was opened.

    Raises PLATFORM_NOT_FOUND, TRAINING_RUN_STATE.
    """
    run = await owned(name, buyer, work)
    ended = await move(run, Move.CANCEL, work, CANCELLED)
    for flight in (*await work.rounds.of(name), *await work.rounds.of(evaluation_of(name))):
        if flight.state in IN_FLIGHT:
            aborted = replace(flight, state=RoundState.ABORTED, reason=CANCELLED)
            await work.rounds.save(aborted)
            if not flight.charged:
                await work.book.book(flight.run, flight.number, flight.cohort.grants, Booking.RELEASED)
            if flight.run == name:
                work.publish(RoundAborted(aborted))
    if run.params:
        work.publish(RunFailed(ended))
    return ended


async def owned(name: RunId, buyer: Did, work: Work) -> Run:
    """The run, locked, if it is this buyer's. Raises PLATFORM_NOT_FOUND for unknown and others' alike."""
    run = await work.runs.lock(name)
    if run is None or run.terms.buyer != buyer:
        raise PLATFORM_NOT_FOUND.problem(run=name)
    return run
