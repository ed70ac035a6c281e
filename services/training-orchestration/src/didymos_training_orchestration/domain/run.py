"""A run as one table of transitions. learning.md section 5."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, Literal, NewType, TypeAlias

from didymos_did import Did, Purpose
from didymos_learning import RunSpec

RunId = NewType("RunId", str)
Digest: TypeAlias = bytes  # SHA-256, 32 bytes
ClientsKind: TypeAlias = Literal["sites", "simulated"]


class RunState(Enum):
    """A paused run carries the code of what it waits for."""

    DRAFT = "draft"
    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Move(Enum):
    PREPARE = "prepare"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"


TABLE: Final[dict[tuple[RunState, Move], RunState]] = {
    (RunState.DRAFT, Move.PREPARE): RunState.READY,
    (RunState.READY, Move.START): RunState.RUNNING,
    (RunState.RUNNING, Move.PAUSE): RunState.PAUSED,
    (RunState.PAUSED, Move.RESUME): RunState.RUNNING,
    (RunState.RUNNING, Move.COMPLETE): RunState.COMPLETED,
    (RunState.RUNNING, Move.FAIL): RunState.FAILED,
    (RunState.DRAFT, Move.CANCEL): RunState.CANCELLED,
    (RunState.READY, Move.CANCEL): RunState.CANCELLED,
    (RunState.RUNNING, Move.CANCEL): RunState.CANCELLED,
    (RunState.PAUSED, Move.CANCEL): RunState.CANCELLED,
}
ENDED: Final = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED})


class Refused(Enum):
    OUT_OF_ORDER = "the run is in a state that does not allow this"


def moved(state: RunState, move: Move) -> RunState | Refused:
    """The next state, or why there is none. Total."""
    return TABLE.get((state, move), Refused.OUT_OF_ORDER)


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what the run trains: the agreement, its parties, and the purpose the buyer may use twins for."""

    agreement: str
    buyer: Did
    provider: Did
    purpose: Purpose
    spec: Digest = b""  # of the one specification that the agreement admits; empty: it names none
    rounds: int = 0  # that it pays for; 0: it does not say


@dataclass(frozen=True, slots=True)
class Run:
    """`round`: the last one that ended; `committed`: how many of them changed the parameters; `params`: their digest.

    `moments`: digests of the vectors that the server's optimiser keeps.
    `aborted`: how many ended without effect, in a row, up to now. `lease_epoch` grows with each coordinator.
    """

    id: RunId
    terms: Terms
    spec: RunSpec
    clients: ClientsKind
    created_at: datetime
    state: RunState = RunState.DRAFT
    reason: str = ""
    round: int = 0
    committed: int = 0
    aborted: int = 0
    params: Digest = b""
    moments: tuple[Digest, ...] = ()
    lease_epoch: int = 0
    bitwise: bool = True
    fingerprint: str = ""
    revision: int = 1

    @property
    def over(self) -> bool:
        """Whether all rounds have been run."""
        return self.round >= self.spec.rounds
