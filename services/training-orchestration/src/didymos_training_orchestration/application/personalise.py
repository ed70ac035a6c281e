"""After the last round: every member fits and gates the models of its subjects, and reports. learning.md section 9."""

from collections.abc import Sequence

from didymos_did import Freshness, TwinId, decide
from didymos_learning import flat_view

from didymos_training_orchestration.application.collect import ASK_AGAIN_SECONDS
from didymos_training_orchestration.application.complete_run import participation
from didymos_training_orchestration.application.results import Order
from didymos_training_orchestration.application.world import World
from didymos_training_orchestration.domain.cohort import Cohort, Member, use_of
from didymos_training_orchestration.domain.contribution import SubjectReport
from didymos_training_orchestration.domain.run import Run

ATTEMPT = 1


async def personalise(run: Run, world: World) -> Sequence[SubjectReport]:
    """The reports, of subjects that took part and whose owners still allow it."""
    took_part = participation(await world.units(lambda work: work.rounds.of(run.id)))
    await _fresh(took_part.cohort, world)
    cohort = took_part.cohort if run.clients == "simulated" else _allowed(run, took_part.cohort, world)
    if not cohort.members:
        return ()
    raw = await world.objects.get(run.params)
    params = flat_view(raw or b"", run.spec.model.layout.size)
    gradient = await world.mathematics.validation_gradient(run.spec, params)
    digest = b"" if gradient is None else await world.objects.put(gradient.astype("<f4").tobytes())
    use = use_of(run.terms.buyer, run.terms.purpose, run.terms.agreement, run.spec)
    deadline = world.clock.now_us() + world.pace.personal_us
    order = Order(
        run.id,
        run.spec.rounds + 1,
        ATTEMPT,
        deadline,
        run.spec,
        use,
        cohort,
        run.params,
        world.pace.personal_us,
        digest,
    )
    return await world.clients[run.clients].personalise(order, params)


async def _fresh(cohort: Cohort, world: World) -> None:
    """Wait, a while, until it is known what owners allow now: a stale moment must not cost anybody a model."""
    twins = [subject.twin for member in cohort.members for subject in member.subjects]
    until = world.clock.monotonic() + world.pace.gather_seconds
    clients = next(iter(world.clients.values()))
    while any(world.consent.facts(twin).freshness is not Freshness.FRESH for twin in twins):
        if world.clock.monotonic() >= until:
            return
        await clients.changed(ASK_AGAIN_SECONDS)


def _allowed(run: Run, cohort: Cohort, world: World) -> Cohort:
    """Without subjects whose owners withdrew. A budget that the run used up is no withdrawal."""
    use = use_of(run.terms.buyer, run.terms.purpose, run.terms.agreement, run.spec)
    now = world.clock.now()

    def allowed(twin: TwinId) -> bool:
        return decide(use.of(twin, cohort.size), world.consent.facts(twin), now).allowed

    members = []
    for member in cohort.members:
        own = tuple(subject for subject in member.subjects if allowed(subject.twin))
        if own:
            members.append(Member(member.name, own, len(own)))
    return Cohort(tuple(members))
