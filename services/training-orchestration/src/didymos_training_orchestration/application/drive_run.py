"""Drive one run from where it stands to its end. Every step is durable before the next: any of them may be the last.

A coordinator that comes after repeats from the newest checkpoint, and gets the same bits. learning.md section 5.
"""

from dataclasses import replace

import numpy as np
from didymos_contracts.errors import Problem
from didymos_kit import log
from didymos_kit.faults import fault_point
from didymos_learning import BySum, ServerState, flat_bytes, strategy_of

from didymos_training_orchestration.application.admission import share_used
from didymos_training_orchestration.application.close_round import Closing, abort_round, close_round
from didymos_training_orchestration.application.collect import Collected, Failed, collect
from didymos_training_orchestration.application.complete_run import NO_ROUND, complete_run, fail_run
from didymos_training_orchestration.application.evaluate_round import evaluate_round
from didymos_training_orchestration.application.events import RunStarted
from didymos_training_orchestration.application.gather import gathered
from didymos_training_orchestration.application.hold import hold, move, store
from didymos_training_orchestration.application.open_round import open_round, retry_round
from didymos_training_orchestration.application.personalise import personalise
from didymos_training_orchestration.application.ports import Work
from didymos_training_orchestration.application.quick_rounds import QUICK_SECONDS, quick_rounds, together
from didymos_training_orchestration.application.results import order_of
from didymos_training_orchestration.application.summing import applied, server_of
from didymos_training_orchestration.application.world import World
from didymos_training_orchestration.domain.evaluation import evaluation_of
from didymos_training_orchestration.domain.round import ATTEMPTS, IN_FLIGHT, Round, RoundState
from didymos_training_orchestration.domain.run import ENDED, Move, Run, RunId


async def drive_run(name: RunId, epoch: int, world: World) -> None:
    """Until the run is paused, completed or failed. Raises TRAINING_LEASE_LOST, TRAINING_RUN_STATE."""
    run = await _begun(name, epoch, world)
    await _say_again_how_the_last_round_ended(run, world)
    ahead = False
    await evaluate_round(run, epoch, world)
    while not run.over:
        flight = await _in_flight(run, world)
        if flight is None and ahead:
            await quick_rounds(run, epoch, world)
            ahead = False
        else:
            flight = flight or await _opened(run, epoch, world)
            if flight is None:
                return
            ahead = await _round(run, flight, epoch, world) and together(run, world)
        run = await world.units(lambda work: hold(name, epoch, work))
        await evaluate_round(run, epoch, world)
    if not run.committed:
        await world.units(lambda work: fail_run(name, epoch, NO_ROUND, work))
        return
    reports = await personalise(run, world)
    fault_point("training.personalised")
    await world.units(lambda work: complete_run(name, epoch, reports, work, world.clock))
    world.meters.model("global", "accepted")
    for report in reports:
        world.meters.model("personal", "accepted" if report.accepted else "rejected")
    log.get().info("training.run_completed", run=name, rounds=run.committed)


async def _begun(name: RunId, epoch: int, world: World) -> Run:
    """The run with its first parameters; another machine than before is noted, for its bits may differ."""
    run = await world.units(lambda work: hold(name, epoch, work))
    fingerprint = await world.mathematics.fingerprint(world.clients[run.clients].engine(run.spec))
    if run.params:
        if run.fingerprint == fingerprint or not run.bitwise:
            return run
        return await world.units(lambda work: _marked(name, epoch, work))
    params = await world.objects.put(flat_bytes(await world.mathematics.initial(run.spec)))
    await world.objects.put(run.spec.to_json())

    async def begin(work: Work) -> Run:
        fresh = await hold(name, epoch, work)
        begun = await store(replace(fresh, params=params, fingerprint=fingerprint), work)
        work.publish(RunStarted(begun, world.clock.now()))
        return begun

    return await world.units(begin)


async def _marked(name: RunId, epoch: int, work: Work) -> Run:
    return await store(replace(await hold(name, epoch, work), bitwise=False), work)


async def _in_flight(run: Run, world: World) -> Round | None:
    following = await world.units(lambda work: work.rounds.find(run.id, run.round + 1))
    return following if following is not None and following.state in IN_FLIGHT else None


async def _opened(run: Run, epoch: int, world: World) -> Round | None:
    """The next round, once enough members are there; None when they did not come, and the run is paused."""
    found = await gathered(
        run, world, lambda offer, work: open_round(
            run.id, epoch, offer, world.pace.first_training_us, world.consent, work, world.clock
        ),
    )  # fmt: skip
    if isinstance(found, Round):
        await _budget_told(found, world)
        return found
    await world.units(lambda work: _paused(run.id, epoch, found, work))
    return None


async def _budget_told(opened: Round, world: World) -> None:
    if not opened.cohort.grants:  # simulated clients: nobody's budget is used
        return
    world.meters.budget(await world.units(lambda work: share_used(opened.cohort, world.consent, work.book)))


async def _paused(name: RunId, epoch: int, why: Problem, work: Work) -> Run:
    log.get().warning("training.run_paused", reason=why.row.code, **{**why.values, "run": name})
    return await move(await hold(name, epoch, work), Move.PAUSE, work, why.row.code)


async def _round(run: Run, flight: Round, epoch: int, world: World) -> bool:
    """All attempts of one round, to its end; whether it was committed, and the last of them quick."""
    clients, round_ = world.clients[run.clients], flight
    server = await server_of(run, world)
    params, strategy = server.params, strategy_of(run.spec.strategy, run.spec.masking)
    broadcast = strategy.broadcast(server) if isinstance(strategy, BySum) else ()
    gradient = await world.mathematics.validation_gradient(run.spec, params)
    digest = b"" if gradient is None else await world.objects.put(flat_bytes(gradient))
    world.meters.opened()
    begun, taken = world.clock.monotonic(), 0.0
    while True:
        asked = world.clock.monotonic()
        order = order_of(run, round_, digest)
        await clients.open(order, params, broadcast)
        got = await collect(order, round_, epoch, world, run.clients)
        taken = world.clock.monotonic() - asked
        if isinstance(got, Collected):
            await _commit(run, got, server, epoch, world)
            await clients.close(order, "committed", "")
            break
        following = await _another(run, got, epoch, world)
        await clients.close(order, "aborted", got.code)
        if following is None:
            break
        round_ = following
    world.meters.ended("closed" if isinstance(got, Collected) else "aborted", world.clock.monotonic() - begun)
    return isinstance(got, Collected) and taken < QUICK_SECONDS


async def _another(run: Run, failed: Failed, epoch: int, world: World) -> Round | None:
    """The next attempt; None when the round is aborted."""
    log.get().warning("training.attempt_failed", run=run.id, round=failed.round.number, code=failed.code)
    spent = failed.round.attempt >= ATTEMPTS
    if failed.again and not spent:
        offer = await world.clients[run.clients].offered(run.spec)
        found = await world.units(
            lambda work: retry_round(failed.round, epoch, offer, world.consent, work, world.clock)
        )
        if isinstance(found, Round):
            return found
        spent = True
    pause = failed.again and spent
    await world.units(
        lambda work: abort_round(failed.round, epoch, failed.code, failed.outcomes, work, world.clock, pause=pause)
    )
    return None


async def _commit(run: Run, got: Collected, server: ServerState, epoch: int, world: World) -> None:
    """(1) the total, (2) the checkpoint, (3) one transaction. A crash before (3) repeats from the newest object."""
    after = applied(run.spec, got.total, got.parts, server)
    total = await world.objects.put(got.total.vector.astype("<f8").tobytes())
    fault_point("training.total_written")
    result = await world.objects.put(flat_bytes(after.params))
    moments = tuple([await world.objects.put(flat_bytes(moment)) for moment in after.moments])
    fault_point("training.checkpoint_written")
    closing = Closing(got.accepted, total, result, moments, got.transcript, got.outcomes)
    await world.units(lambda work: close_round(got.round, epoch, closing, work, world.clock))
    fault_point("training.round_committed")
    for _ in got.accepted:
        world.meters.client("delivered")
    log.get().info(
        "training.round_closed", run=run.id, round=got.round.number, accepted=len(got.accepted),
        step=float(np.abs(after.params - server.params).max()),
    )  # fmt: skip


async def _say_again_how_the_last_round_ended(run: Run, world: World) -> None:
    """Members that were away when it ended must learn it: repeats are harmless. So with the last evaluation."""
    for name in (run.id, evaluation_of(run.id)) if run.round else ():
        last = await world.units(lambda work, name=name: work.rounds.find(name, run.round))  # type: ignore[misc]
        if last is not None and last.state not in IN_FLIGHT:
            await _told(run, last, world)


async def tell_the_end(name: RunId, world: World) -> None:
    """A run that somebody ended: its members drop what they kept."""
    run = await world.units(lambda work: work.runs.find(name))
    if run is None or run.state not in ENDED or run.clients not in world.clients:
        return
    for kind in (name, evaluation_of(name)):
        rounds = await world.units(lambda work, kind=kind: work.rounds.of(kind))  # type: ignore[misc]
        if rounds:
            await _told(run, rounds[-1], world)


async def _told(run: Run, last: Round, world: World) -> None:
    outcome = "committed" if last.state is RoundState.COMMITTED else "aborted"
    await world.clients[run.clients].close(order_of(run, last), outcome, last.reason)
