"""A round as one table of transitions, with its deadlines and its quorum. learning.md sections 5 and 7.

Under masks: OPEN trains and sets keys up (ADVERTISE to SHARE), COLLECTING takes masked vectors, CLOSING confirms the
survivors and unmasks. A failure in OPEN is a new attempt; after the first masked vector the round is over, because two
sums of one round leak their difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from didymos_did import Did

from didymos_training_orchestration.domain.cohort import Cohort
from didymos_training_orchestration.domain.run import Digest, RunId

ATTEMPTS: Final = 3
ABORTS_IN_A_ROW: Final = 3
SECOND_US: Final = 1_000_000
SHORTEST_US: Final = 60 * SECOND_US  # a machine that stalls, or a line that breaks, is no drop-out
LONGEST_US: Final = 7200 * SECOND_US


class RoundState(Enum):
    """An aborted round leaves the parameters as they were."""

    PLANNED = "planned"
    OPEN = "open"
    COLLECTING = "collecting"
    CLOSING = "closing"
    COMMITTED = "committed"
    ABORTED = "aborted"


class Step(Enum):
    OPEN = "open"
    RETRY = "retry"
    COLLECT = "collect"
    CLOSE = "close"
    COMMIT = "commit"
    ABORT = "abort"


TABLE: Final[dict[tuple[RoundState, Step], RoundState]] = {
    (RoundState.PLANNED, Step.OPEN): RoundState.OPEN,
    (RoundState.OPEN, Step.RETRY): RoundState.OPEN,
    (RoundState.OPEN, Step.COLLECT): RoundState.COLLECTING,
    (RoundState.OPEN, Step.CLOSE): RoundState.CLOSING,  # a clear round has no step between
    (RoundState.COLLECTING, Step.CLOSE): RoundState.CLOSING,
    (RoundState.CLOSING, Step.COMMIT): RoundState.COMMITTED,
    (RoundState.OPEN, Step.ABORT): RoundState.ABORTED,
    (RoundState.COLLECTING, Step.ABORT): RoundState.ABORTED,
    (RoundState.CLOSING, Step.ABORT): RoundState.ABORTED,
}
IN_FLIGHT: Final = frozenset({RoundState.OPEN, RoundState.COLLECTING, RoundState.CLOSING})


class Refused(Enum):
    OUT_OF_ORDER = "the round is in a state that does not allow this"


def stepped(state: RoundState, step: Step) -> RoundState | Refused:
    """The next state, or why there is none. Total."""
    return TABLE.get((state, step), Refused.OUT_OF_ORDER)


@dataclass(frozen=True, slots=True)
class Round:
    """One round and its present attempt. `params`: the digest that it began from; `result`: the one that it gave.

    `charged`: its budget was spent, which is final. `total`: digest of the sum; `transcript`: what survivors signed.
    """

    run: RunId
    number: int
    cohort: Cohort
    params: Digest
    attempt: int = 1
    state: RoundState = RoundState.OPEN
    opened_us: int = 0
    training_us: int = 0
    closed_us: int = 0
    accepted: tuple[Did, ...] = ()
    total: Digest = b""
    result: Digest = b""
    transcript: Digest = b""
    reason: str = ""
    charged: bool = False


def quorum(asked: int, surviving: int) -> int:
    """How many of `asked` sites must deliver: three quarters, and never fewer than the specification wants."""
    return max(-(-3 * asked // 4), surviving)


def training_us(past_us: Sequence[int], first_us: int) -> int:
    """Microseconds until the deadline: `first_us`, then 1.5 times the 95th percentile of the last five rounds."""
    recent = sorted(past_us[-5:])
    if not recent:
        return first_us
    p95 = recent[min(len(recent) - 1, -(-95 * len(recent) // 100) - 1)]
    return min(max(3 * p95 // 2, SHORTEST_US), LONGEST_US)
