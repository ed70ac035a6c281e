"""An evaluation ends: with a tally, or without. The run's parameters stay as they are, and so does its round."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from didymos_did import Did
from didymos_kit.clock import Clock

from didymos_training_orchestration.application.hold import hold, store
from didymos_training_orchestration.application.ports import Work
from didymos_training_orchestration.domain.budget import Booking
from didymos_training_orchestration.domain.evaluation import Tally
from didymos_training_orchestration.domain.round import IN_FLIGHT, Round, RoundState
from didymos_training_orchestration.domain.run import Digest


@dataclass(frozen=True, slots=True)
class Counted:
    """What an evaluation gave. `total`: the digest of its sums, which lie among the objects."""

    tally: Tally
    accepted: tuple[Did, ...]
    total: Digest
    transcript: Digest
    outcomes: Mapping[Did, str]


async def close_evaluation(name: Round, epoch: int, counted: Counted, work: Work, clock: Clock) -> None:
    """Its budget was charged when shares were asked for. Raises as `hold`."""
    run = await hold(name.run, epoch, work)
    round_ = await work.rounds.find(name.run, name.number)
    if round_ is None or round_.state is not RoundState.CLOSING:
        return  # committed before: nothing is done twice
    closed = replace(
        round_, state=RoundState.COMMITTED, accepted=counted.accepted, total=counted.total, result=round_.params,
        transcript=counted.transcript, closed_us=clock.now_us(),
    )  # fmt: skip
    await work.rounds.save(closed)
    await work.rounds.outcome(closed, counted.outcomes)
    await work.registry.counted(run.id, counted.tally)
    await store(run, work)


async def abort_evaluation(
    name: Round, epoch: int, code: str, outcomes: Mapping[Did, str], work: Work, clock: Clock
) -> None:
    """What was reserved is free again, unless shares were asked for. It never pauses the run. Raises as `hold`."""
    run = await hold(name.run, epoch, work)
    round_ = await work.rounds.find(name.run, name.number)
    if round_ is None or round_.state not in IN_FLIGHT:
        return
    aborted = replace(round_, state=RoundState.ABORTED, reason=code, closed_us=clock.now_us())
    if not round_.charged:
        await work.book.book(name.run, name.number, round_.cohort.grants, Booking.RELEASED)
    await work.rounds.save(aborted)
    await work.rounds.outcome(aborted, outcomes)
    await store(run, work)
