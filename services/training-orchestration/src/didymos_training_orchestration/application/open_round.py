"""Open a round, or another attempt of it: the cohort admitted now, its budget reserved, in one transaction."""

from dataclasses import replace
from typing import Final

from didymos_contracts.errors import Problem
from didymos_contracts.errors.training import TRAINING_ROUND_CLOSED
from didymos_kit.clock import Clock

from didymos_training_orchestration.application.admission import admission, shortage
from didymos_training_orchestration.application.events import RoundOpened
from didymos_training_orchestration.application.hold import hold
from didymos_training_orchestration.application.ports import Consent, Work
from didymos_training_orchestration.application.results import Offer
from didymos_training_orchestration.domain.budget import Booking
from didymos_training_orchestration.domain.round import Refused, Round, RoundState, Step, stepped, training_us
from didymos_training_orchestration.domain.run import RunId

RECENT: Final = 20  # rounds, of which at least five are committed: three aborted in a row pause a run


async def open_round(
    name: RunId, epoch: int, offer: Offer, first_us: int, consent: Consent, work: Work, clock: Clock
) -> Round | Problem:
    """The next round, open; or why it cannot begin now: then nothing changed. Raises as `hold`."""
    opened = await plan_round(name, epoch, offer, first_us, consent, work, clock)
    if isinstance(opened, Round):
        await work.book.book(name, opened.number, opened.cohort.grants, Booking.RESERVED)
        await work.rounds.add(opened)
        await work.registry.note_uses(opened)
        work.publish(RoundOpened(opened))
    return opened


async def plan_round(
    name: RunId, epoch: int, offer: Offer, first_us: int, consent: Consent, work: Work, clock: Clock
) -> Round | Problem:
    """The next round as it would be opened now, or why it cannot begin. Nothing is stored. Raises as `hold`."""
    run = await hold(name, epoch, work)
    found = await admission(run, offer, consent, work.book, clock.now())
    missed = shortage(run, found)
    if missed is not None:
        return missed
    return Round(
        name, run.round + 1, found.cohort, run.params, opened_us=clock.now_us(),
        training_us=await allowed_us(name, first_us, work),
    )  # fmt: skip


async def allowed_us(name: RunId, first_us: int, work: Work) -> int:
    """How long members may take, by what rounds took before."""
    past = [each for each in await work.rounds.newest(name, RECENT) if each.state is RoundState.COMMITTED]
    return training_us([each.closed_us - each.opened_us for each in past], first_us)


async def retry_round(
    failed: Round, epoch: int, offer: Offer, consent: Consent, work: Work, clock: Clock
) -> Round | Problem:
    """The next attempt of `failed`, with who may take part now; or why there is none. Raises as `hold`."""
    run = await hold(failed.run, epoch, work)
    state = stepped(failed.state, Step.RETRY)
    found = await admission(run, offer, consent, work.book, clock.now(), failed.cohort.grants)
    missed = shortage(run, found)
    if missed is not None or isinstance(state, Refused):
        return missed or shortage_of_attempts(failed)
    following = replace(
        failed, attempt=failed.attempt + 1, cohort=found.cohort, state=state, opened_us=clock.now_us(), reason=""
    )
    gone = set(failed.cohort.grants) - set(found.cohort.grants)
    await work.book.book(failed.run, failed.number, sorted(gone), Booking.RELEASED)
    await work.book.book(failed.run, failed.number, found.cohort.grants, Booking.RESERVED)
    await work.rounds.save(following)
    await work.registry.note_uses(following)
    work.publish(RoundOpened(following))
    return following


def shortage_of_attempts(failed: Round) -> Problem:
    """The round is past the state in which another attempt is safe."""
    return TRAINING_ROUND_CLOSED.problem(run=failed.run, round=failed.number)
