"""After a round that asks for it, members tell how far off the model is: one masked sum. learning.md 10, ADR 138.

No training waits for a good answer: an evaluation that cannot be is noted with its reason, and the run goes on.
"""

from didymos_did import Did
from didymos_kit import log
from didymos_learning import LearningError
from didymos_learning.error_histogram import spreads

from didymos_training_orchestration.application.close_evaluation import Counted, abort_evaluation, close_evaluation
from didymos_training_orchestration.application.collect import Collected, Failed, collect
from didymos_training_orchestration.application.gather import gathered
from didymos_training_orchestration.application.open_evaluation import open_evaluation, pass_over, retry_evaluation
from didymos_training_orchestration.application.results import order_of
from didymos_training_orchestration.application.world import World
from didymos_training_orchestration.domain.evaluation import Tally, evaluation_of
from didymos_training_orchestration.domain.round import ATTEMPTS, IN_FLIGHT, Round
from didymos_training_orchestration.domain.run import Run


async def evaluate_round(run: Run, epoch: int, world: World) -> None:
    """The evaluation that is due after the run's last round, to its end, unless it had one. Raises as `hold`."""
    if run.clients != "sites" or not run.committed or not run.spec.evaluation.due(run.round, run.spec.rounds):
        return
    found = await world.units(lambda work: work.rounds.find(evaluation_of(run.id), run.round))
    if found is not None and found.state not in IN_FLIGHT:
        return
    flight, clients = found or await _opened(run, epoch, world), world.clients[run.clients]
    while flight is not None:
        order = order_of(run, flight)
        got = await collect(order, flight, epoch, world, run.clients)
        code = await _counted(run, got, epoch, world) if isinstance(got, Collected) else got.code
        flight = await _following(run, got, epoch, world) if isinstance(got, Failed) else None
        await clients.close(order, "aborted" if code else "committed", code)


async def _opened(run: Run, epoch: int, world: World) -> Round | None:
    """The evaluation, once enough members are there; None when they did not come, and that is noted."""
    found = await gathered(
        run, world, lambda offer, work: open_evaluation(
            run.id, epoch, offer, world.pace.first_training_us, world.consent, work, world.clock
        ),
    )  # fmt: skip
    if isinstance(found, Round):
        return found
    code = found.row.code
    log.get().warning("training.not_evaluated", run=run.id, round=run.round, code=code)
    await world.units(lambda work: pass_over(run.id, epoch, code, work, world.clock))
    return None


async def _following(run: Run, failed: Failed, epoch: int, world: World) -> Round | None:
    """The next attempt; None when the evaluation is given up."""
    if failed.again and failed.round.attempt < ATTEMPTS:
        offer = await world.clients[run.clients].offered(run.spec)
        found = await world.units(
            lambda work: retry_evaluation(failed.round, epoch, offer, world.consent, work, world.clock)
        )
        if isinstance(found, Round):
            return found
    await _given_up(failed.round, failed.code, failed.outcomes, epoch, world)
    return None


async def _counted(run: Run, got: Collected, epoch: int, world: World) -> str:
    """The tally, durable; or the code by which the sum is none: then the evaluation is given up."""
    name, total = got.round, got.total
    try:
        model, naive = spreads(total.vector, total.count, run.spec.evaluation.edges, total.weight)
    except LearningError as error:
        await _given_up(name, error.code, got.outcomes, epoch, world)
        return error.code
    digest = await world.objects.put(total.vector.astype("<f8").tobytes())
    tally = Tally(name.number, len(got.accepted), total.count, tuple(map(float, total.vector)))
    counted = Counted(tally, got.accepted, digest, got.transcript, got.outcomes)
    await world.units(lambda work: close_evaluation(name, epoch, counted, work, world.clock))
    log.get().info(
        "training.evaluated", run=run.id, round=name.number, sites=tally.sites, median=model.median.value,
        naive=naive.median.value,
    )  # fmt: skip
    return ""


async def _given_up(name: Round, code: str, outcomes: dict[Did, str], epoch: int, world: World) -> None:
    log.get().warning("training.not_evaluated", run=name.run, round=name.number, code=code)
    await world.units(lambda work: abort_evaluation(name, epoch, code, outcomes, work, world.clock))
