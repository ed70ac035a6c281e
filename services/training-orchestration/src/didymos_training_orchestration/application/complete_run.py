"""The end of a run: reports, contributions, models, and the events that tell of them, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from didymos_did import GrantId, TwinId
from didymos_kit.clock import Clock

from didymos_training_orchestration.application.events import RunCompleted, RunFailed
from didymos_training_orchestration.application.hold import hold, move
from didymos_training_orchestration.application.ports import Work
from didymos_training_orchestration.application.register_models import register_models
from didymos_training_orchestration.domain.cohort import Cohort, Member, Subject
from didymos_training_orchestration.domain.contribution import SubjectReport, contributions
from didymos_training_orchestration.domain.round import Round, RoundState
from didymos_training_orchestration.domain.run import Move, Run, RunId

NO_ROUND = "no_round_committed"


@dataclass(frozen=True, slots=True)
class Participation:
    """Who took part in committed rounds: as a cohort, with the grant of each twin and how many rounds it was in."""

    cohort: Cohort
    grants: Mapping[TwinId, GrantId]
    rounds: Mapping[TwinId, int]


def participation(rounds: Sequence[Round]) -> Participation:
    """Over the committed rounds; a twin belongs to the member that had it last."""
    places: dict[TwinId, tuple[Member, Subject]] = {}
    counted: dict[TwinId, int] = {}
    chunks: dict[str, Member] = {}
    for round_ in rounds:
        if round_.state is not RoundState.COMMITTED:
            continue
        for member in round_.cohort.members:
            if member.name not in round_.accepted:
                continue
            if not member.subjects:
                chunks[member.name] = member
            for subject in member.subjects:
                places[subject.twin] = (member, subject)
                counted[subject.twin] = counted.get(subject.twin, 0) + 1
    names = sorted({member.name for member, _ in places.values()})
    members = list(chunks.values())
    for name in names:
        own = tuple(subject for _, (member, subject) in sorted(places.items()) if member.name == name)
        members.append(Member(name, own, len(own)))
    cohort = Cohort(tuple(sorted(members, key=lambda member: member.name)))
    return Participation(cohort, {twin: subject.grant for twin, (_, subject) in places.items()}, counted)


async def complete_run(name: RunId, epoch: int, reports: Sequence[SubjectReport], work: Work, clock: Clock) -> Run:
    """The run, completed. Raises as `hold`."""
    run = await hold(name, epoch, work)
    rounds = await work.rounds.of(name)
    took_part = participation(rounds)
    now = clock.now()
    await work.registry.report(name, reports)
    completed = await move(run, Move.COMPLETE, work)
    await register_models(completed, reports, took_part.cohort, rounds, work, now)
    paid = contributions(reports, took_part.grants, took_part.rounds)
    work.publish(RunCompleted(completed, paid, now))
    return completed


async def fail_run(name: RunId, epoch: int, reason: str, work: Work) -> Run:
    """The run ends without a model. Raises as `hold`."""
    failed = await move(await hold(name, epoch, work), Move.FAIL, work, reason)
    work.publish(RunFailed(failed))
    return failed
