"""A round ends: with new parameters, or without effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from didymos_did import Did
from didymos_kit.clock import Clock

from didymos_training_orchestration.application.events import RoundAborted, RoundClosed
from didymos_training_orchestration.application.hold import hold, move, store
from didymos_training_orchestration.application.ports import Work
from didymos_training_orchestration.domain.budget import Booking
from didymos_training_orchestration.domain.round import (
    ABORTS_IN_A_ROW,
    IN_FLIGHT,
    Round,
    RoundState,
)
from didymos_training_orchestration.domain.run import Digest, Move, Run

ABORTS = "quorum"


@dataclass(frozen=True, slots=True)
class Closing:
    """What a round gave: all of it is durable among the objects before `close_round`."""

    accepted: tuple[Did, ...]
    total: Digest
    params: Digest
    moments: tuple[Digest, ...]
    transcript: Digest
    outcomes: Mapping[Did, str]


async def close_round(name: Round, epoch: int, closing: Closing, work: Work, clock: Clock) -> Run:
    """The round is committed, its cohort charged, the run has new parameters. Raises as `hold`."""
    run = await hold(name.run, epoch, work)
    round_ = await work.rounds.find(name.run, name.number)
    if round_ is None or round_.state is not RoundState.CLOSING:
        return run  # committed before: nothing is done twice
    closed = replace(
        round_, state=RoundState.COMMITTED, accepted=closing.accepted, total=closing.total, result=closing.params,
        transcript=closing.transcript, closed_us=clock.now_us(), charged=True,
    )  # fmt: skip
    if not round_.charged:
        accepted = [m for m in round_.cohort.members if m.name in closing.accepted]
        paying = [subject.grant for member in accepted for subject in member.subjects]
        await work.book.book(name.run, name.number, sorted(set(round_.cohort.grants) - set(paying)), Booking.RELEASED)
        await work.book.book(name.run, name.number, paying, Booking.SPENT)
    await work.rounds.save(closed)
    await work.rounds.outcome(closed, closing.outcomes)
    after = await store(
        replace(
            run, round=closed.number, committed=run.committed + 1, aborted=0, params=closing.params,
            moments=closing.moments,
        ),
        work,
    )  # fmt: skip
    work.publish(RoundClosed(after, closed))
    return after


async def close_rounds(rounds: Sequence[Round], epoch: int, moments: tuple[Digest, ...], work: Work) -> Run:
    """Rounds that were computed ahead, one after the other, all at once. Nobody is charged. Raises as `hold`."""
    run = await hold(rounds[0].run, epoch, work)
    if run.round + 1 != rounds[0].number or run.params != rounds[0].params:
        return run  # committed before: nothing is done twice
    await work.rounds.add_committed(rounds)
    last = rounds[-1]
    after = await store(
        replace(
            run, round=last.number, committed=run.committed + len(rounds), aborted=0, params=last.result,
            moments=moments,
        ),
        work,
    )  # fmt: skip
    for closed in rounds:
        work.publish(RoundClosed(after, closed))
    return after


async def abort_round(
    name: Round, epoch: int, code: str, outcomes: Mapping[Did, str], work: Work, clock: Clock, *, pause: bool = False
) -> Run:
    """The round ends without effect; the next one begins from the same parameters. Three in a row pause the run.

    What was reserved is free again, unless shares were asked for: then it stays spent. Raises as `hold`.
    """
    run = await hold(name.run, epoch, work)
    round_ = await work.rounds.find(name.run, name.number)
    if round_ is None or round_.state not in IN_FLIGHT:
        return run
    aborted = replace(round_, state=RoundState.ABORTED, reason=code, closed_us=clock.now_us())
    if not round_.charged:
        await work.book.book(name.run, name.number, round_.cohort.grants, Booking.RELEASED)
    await work.rounds.save(aborted)
    await work.rounds.outcome(aborted, outcomes)
    work.publish(RoundAborted(aborted))
    after = await store(replace(run, round=aborted.number, aborted=run.aborted + 1), work)
    if pause or after.aborted >= ABORTS_IN_A_ROW:
        after = await move(after, Move.PAUSE, work, ABORTS)
    return after
