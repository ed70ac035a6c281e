"""A stage of a round takes effect: consent is asked again, and what the stage costs is booked, in one transaction."""

from collections.abc import Mapping
from dataclasses import replace

from didymos_did import Did, Reason
from didymos_kit.clock import Clock

from didymos_training_orchestration.application.admission import denied
from didymos_training_orchestration.application.hold import hold
from didymos_training_orchestration.application.ports import Consent, Work
from didymos_training_orchestration.application.results import Stage
from didymos_training_orchestration.domain.budget import Booking
from didymos_training_orchestration.domain.cohort import Cohort
from didymos_training_orchestration.domain.round import Refused, Round, RoundState, Step, stepped

REVOKED = "consent_revoked"
SMALL = "training.cohort_too_small"  # for a grant that asks for more company than is left
STALE = "consent_stale"  # it passes by itself: ask again
_STEPS = {Stage.MASK: Step.COLLECT, Stage.CONFIRM: Step.CLOSE}


async def advance_round(
    name: Round, epoch: int, stage: Stage, members: Cohort, consent: Consent, work: Work, clock: Clock
) -> Round | str:
    """The round as it stands with these members; or the code by which it may not go on. A repeat changes nothing.

    Once shares were asked for (UNMASK) the sum can be opened by others: that was the last use, and it is charged.
    Raises as `hold`.
    """
    run = await hold(name.run, epoch, work)
    round_ = await work.rounds.find(name.run, name.number) or name
    if round_.charged:
        return round_
    out = await denied(run, members, consent, work.book, clock.now())
    if out is None or out:
        return STALE if out is None else why(out)
    moved = round_
    if stage in _STEPS:
        state = stepped(round_.state, _STEPS[stage])
        moved = round_ if isinstance(state, Refused) else replace(round_, state=state)
    if stage is Stage.UNMASK:
        gone = set(round_.cohort.grants) - set(members.grants)
        await work.book.book(name.run, name.number, sorted(gone), Booking.RELEASED)
        await work.book.book(name.run, name.number, members.grants, Booking.SPENT)
        moved = replace(moved, charged=True)
    if moved != round_:
        await work.rounds.save(moved)
    return moved


async def settle_members(
    name: Round, epoch: int, members: Cohort, consent: Consent, work: Work, clock: Clock
) -> Round | str:
    """A clear round takes no more results: it is closing; or the code by which these members may not be summed."""
    run = await hold(name.run, epoch, work)
    round_ = await work.rounds.find(name.run, name.number) or name
    out = await denied(run, members, consent, work.book, clock.now())
    if out is None or out:
        return STALE if out is None else why(out)
    if round_.state is RoundState.OPEN:
        round_ = replace(round_, state=RoundState.CLOSING)
        await work.rounds.save(round_)
    return round_


def why(denied_members: Mapping[Did, Reason]) -> str:
    """The code for members that may not take part: owners withdrew, or too few are left for what they asked."""
    return SMALL if set(denied_members.values()) == {Reason.CONSTRAINT_FAILED} else REVOKED
