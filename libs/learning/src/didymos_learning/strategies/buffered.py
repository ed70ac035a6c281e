"""FedBuff: the server steps after every `buffer` contributions, and late ones count for less. arXiv 2106.06639.

A contribution that began `tau` steps ago has weight 1 / sqrt(1 + tau); one of more than `stale` steps is discarded. The
clock is virtual: who arrives when follows from the seed and the names alone, so that a run can be replayed bit for bit.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Final

from didymos_learning.errors import LearningError
from didymos_learning.spec import derive
from didymos_learning.strategies.means import stepped, sum_of
from didymos_learning.strategies.strategy import (
    Broadcast,
    BySum,
    Contribution,
    Local,
    ServerState,
    Settings,
    Total,
    alone,
    plain,
)
from didymos_learning.vector import Flat

OUT: Final = 4  # times the buffer: at most so many clients train at once


@dataclass(frozen=True, slots=True)
class Arrival:
    """One contribution: what it counts in server step `step` (from 1). It began from the parameters `tau` steps before.

    `serial` numbers the tasks that were handed out; it seeds the training of this one.
    """

    step: int
    subject: str
    tau: int
    serial: int


def staleness(tau: int) -> float:
    """The weight of a contribution that began `tau` steps ago."""
    return 1.0 / sqrt(1.0 + tau)


def schedule(subjects: Sequence[str], steps: int, settings: Settings, seed: bytes) -> Iterator[tuple[Arrival, ...]]:
    """The arrivals of each server step in order: exponential delays by the seed, at most `out` clients at once.

    A client is idle, or trains one task, and begins one task a step at most. Who became idle first is next. Raises
    LearningError `training.cohort_too_small` for fewer clients than the buffer holds.
    """
    buffer, stale = int(settings["buffer"]), int(settings["stale"])
    if len(subjects) < buffer:
        raise LearningError("training.cohort_too_small", count=len(subjects), needed=buffer)
    idle, began = list(subjects), dict.fromkeys(subjects, 0)
    serial, now, step = 0, 0.0, 1
    training: list[tuple[float, int, str, int]] = []
    waiting: list[Arrival] = []
    most = OUT * buffer
    while step <= steps:
        ready = [name for name in idle if began[name] < step][: most - len(training)]
        for subject in ready:
            serial += 1
            idle.remove(subject)
            began[subject] = step
            uniform = (derive(seed, "delay", serial, subject) + 1) / 2.0**64
            heapq.heappush(training, (now - log(uniform), serial, subject, step))
        now, done, subject, begun = heapq.heappop(training)
        idle.append(subject)
        if step - begun <= stale:
            waiting.append(Arrival(step, subject, step - begun, done))
        if len(waiting) == buffer:
            yield tuple(waiting)
            waiting, step = [], step + 1


def _contribute(
    local: Local, params: Flat, broadcast: Broadcast, state: Flat | None, settings: Settings
) -> Contribution:
    """The clipped update; everybody counts once, whatever their windows."""
    given = plain(local, params, broadcast, state, settings)
    return Contribution(given.update, 1.0, given.update, given.loss)


def _apply(state: ServerState, total: Total, settings: Settings) -> ServerState:
    """x += lr * the sum of weighed contributions over their number."""
    return ServerState(stepped(state.params, settings["lr"] * sum_of(total, state.params.size) / total.count))


FEDBUFF = BySum(
    "fedbuff",
    {"lr": 1.0, "buffer": 10.0, "stale": 20.0},
    alone,
    _apply,
    contribute=_contribute,
    unmasked="pairwise masks need a set of clients that is the same for all; a buffer is whoever came first",
    waits=False,
    bounds={"buffer": (1.0, 1000.0), "stale": (0.0, 1000.0)},
)
