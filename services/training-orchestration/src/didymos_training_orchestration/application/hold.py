"""A run as the coordinator that drives it may change it."""

from dataclasses import replace

from didymos_contracts.errors.training import TRAINING_LEASE_LOST, TRAINING_RUN_STATE

from didymos_training_orchestration.application.ports import Work
from didymos_training_orchestration.domain.evaluation import training_of
from didymos_training_orchestration.domain.run import Move, Refused, Run, RunId, RunState, moved


async def hold(name: RunId, epoch: int, work: Work) -> Run:
    """The run, also by the name of its evaluations, locked.

    Raises TRAINING_LEASE_LOST; TRAINING_RUN_STATE when somebody paused or ended it.
    """
    run = await work.runs.lock(training_of(name))
    if run is None or run.lease_epoch != epoch:
        raise TRAINING_LEASE_LOST.problem(run=name)
    if run.state is not RunState.RUNNING:
        raise TRAINING_RUN_STATE.problem(run=name, state=run.state.value)
    return run


async def move(run: Run, how: Move, work: Work, reason: str = "") -> Run:
    """`run` in its next state, stored. Raises TRAINING_RUN_STATE."""
    state = moved(run.state, how)
    if isinstance(state, Refused):
        raise TRAINING_RUN_STATE.problem(run=run.id, state=run.state.value, detail=f"cannot {how.value} it now")
    return await store(replace(run, state=state, reason=reason), work)


async def store(run: Run, work: Work) -> Run:
    """`run` as its next revision."""
    following = replace(run, revision=run.revision + 1)
    await work.runs.save(following)
    return following
