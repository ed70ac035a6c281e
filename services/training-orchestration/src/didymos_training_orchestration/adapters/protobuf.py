"""Events of this service as protobuf. Digests, never vectors."""

from datetime import datetime

from didymos.training.v1 import training_events_pb2 as pb
from didymos.training.v1.training_types_pb2 import MODEL_KIND_GLOBAL, MODEL_KIND_PERSONAL, RunState
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from didymos_training_orchestration.application import events
from didymos_training_orchestration.domain.model import Model, ModelKind
from didymos_training_orchestration.domain.run import Run
from didymos_training_orchestration.domain.run import RunState as State

_STATES = {
    State.DRAFT: RunState.RUN_STATE_DRAFT,
    State.READY: RunState.RUN_STATE_READY,
    State.RUNNING: RunState.RUN_STATE_RUNNING,
    State.PAUSED: RunState.RUN_STATE_PAUSED,
    State.COMPLETED: RunState.RUN_STATE_COMPLETED,
    State.FAILED: RunState.RUN_STATE_FAILED,
    State.CANCELLED: RunState.RUN_STATE_CANCELLED,
}


def run_state(run: Run) -> RunState.ValueType:
    return _STATES[run.state]


def printed(event: events.Event) -> tuple[Message, str]:
    """The message and the key of its record."""
    match event:
        case events.RunStarted(run, at):
            started = pb.RunStarted(
                run=run.id, agreement=run.terms.agreement, spec_digest=run.spec.digest, params_digest=run.params,
                rounds=run.spec.rounds, at=_at(at),
            )  # fmt: skip
            return started, run.id
        case events.RoundOpened(round_):
            opened = pb.RoundOpened(
                run=round_.run, round=round_.number, attempt=round_.attempt, cohort_digest=round_.cohort.digest,
                expected=len(round_.cohort.members),
            )  # fmt: skip
            return opened, round_.run
        case events.RoundClosed(run, round_):
            closed = pb.RoundClosed(
                run=run.id, round=round_.number, total_digest=round_.total, params_digest=round_.result,
                transcript=round_.transcript, accepted=len(round_.accepted), masking=run.spec.masking,
                agreement=run.terms.agreement,
            )  # fmt: skip
            return closed, run.id
        case events.RoundAborted(round_):
            aborted = pb.RoundAborted(run=round_.run, round=round_.number, reason=round_.reason, charged=round_.charged)
            return aborted, round_.run
        case events.RunCompleted():
            return _completed(event), event.run.id
        case events.RunFailed(run):
            return pb.RunFailed(run=run.id, agreement=run.terms.agreement, reason=run.reason), run.id
        case events.ModelRegistered(model):
            return _registered(model), model.twin or model.task


def _completed(event: events.RunCompleted) -> pb.RunCompleted:
    run = event.run
    lines = (
        pb.Contribution(thread=one.thread, twin=one.twin, score=one.score, rounds=one.rounds, method=one.method)
        for one in event.contributions
    )
    return pb.RunCompleted(
        run=run.id, agreement=run.terms.agreement, rounds=run.committed, params_digest=run.params,
        contributions=lines, at=_at(event.at),
    )  # fmt: skip


def _registered(model: Model) -> pb.ModelRegistered:
    kind = MODEL_KIND_GLOBAL if model.kind is ModelKind.GLOBAL else MODEL_KIND_PERSONAL
    return pb.ModelRegistered(
        model_id=model.id, kind=kind, run=model.run, twin=model.twin or "", task=model.task,
        params_digest=model.params, card=model.card,
    )  # fmt: skip


def _at(instant: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp
