"""The records a strategy is made of, and what it sees of one client. ADR 120."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_learning.layout import Layout
from didymos_learning.vector import Flat, Wide, clipped

Settings: TypeAlias = Mapping[str, float]
Broadcast: TypeAlias = tuple[Flat, ...]  # vectors that go to every client beside the parameters
Bounds: TypeAlias = Mapping[str, tuple[float, float]]
NO_BOUNDS: Final[Bounds] = {}


@dataclass(frozen=True, slots=True)
class ServerState:
    """What the coordinator keeps between rounds: parameters (d,) and the optimiser's vectors (each (d,)), if any."""

    params: Flat
    moments: tuple[Flat, ...] = ()


@dataclass(frozen=True, slots=True)
class Total:
    """All that a sum tells: the sum of the contributions (width,), the sum of their weights, and their number."""

    vector: Wide
    weight: float
    count: int


@dataclass(frozen=True, slots=True)
class Reached:
    """Where local training ended: parameters (d,), how many steps it took, the mean loss of its last epoch."""

    params: Flat
    steps: int
    loss: float


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one client gives a round.

    `vector` (width,): what is added up, weighted already. `update` (d,): y - x, clipped; scores look at it.
    `state` (any length): what the client keeps for its next round; None: nothing.
    """

    vector: Flat
    weight: float
    update: Flat
    loss: float
    state: Flat | None = None


class Local(Protocol):
    """One client in one round. It trains and measures on its own windows, which no strategy sees."""

    @property
    def weight(self) -> float:
        """Its windows, at most `cohort.max_weight`."""

    @property
    def rate(self) -> float:
        """The learning rate of this round."""

    @property
    def clip(self) -> float | None:
        """The L2 bound of its update."""

    @property
    def layout(self) -> Layout: ...

    def luck(self, purpose: str) -> int:
        """A seed of this client, this round and this purpose."""

    def train(
        self,
        start: Flat,
        *,
        drift: Flat | None = None,
        pull: tuple[float, Flat] | None = None,
        only: NDArray[np.bool_] | None = None,
    ) -> Reached:
        """The epochs of the run from `start` (d,).

        `drift` (d,) is added to every gradient. `pull`: a strength, and the parameters (d,) pulled to, instead of the
        `mu` of the run. `only` (d,): the coordinates that move.
        """

    def loss(self, params: Flat) -> float:
        """The mean loss of `params` (d,) over its fit windows."""


Contribute: TypeAlias = Callable[[Local, Flat, Broadcast, Flat | None, Settings], Contribution]


def plain(local: Local, params: Flat, _broadcast: Broadcast, _state: Flat | None, _settings: Settings) -> Contribution:
    """w clip(y - x), w the windows: what most strategies add up, and what masks carry."""
    reached = local.train(params)
    update = clipped(reached.params - params, local.clip)
    return Contribution(np.multiply(update, np.float32(local.weight)), local.weight, update, reached.loss)


def alone(params: Flat, _settings: Settings) -> ServerState:
    """A server that keeps nothing but the parameters."""
    return ServerState(params)


def as_the_model(size: int, _settings: Settings) -> int:
    """A contribution is as long as the parameters."""
    return size


def silent(_state: ServerState) -> Broadcast:
    """Clients get the parameters and nothing else."""
    return ()


@dataclass(frozen=True, slots=True)
class BySum:
    """A strategy of one sum.

    `width`: the length of a contribution for d parameters. `broadcast`: what clients get beside the parameters.
    `unmasked`: why masks forbid it; empty where they do not. `optimisers`: those of local training that it works with.
    `keeps`: clients have a state. `waits`: False where the server steps as contributions come in (`buffered`).
    """

    name: str
    defaults: Settings
    init: Callable[[Flat, Settings], ServerState]
    apply: Callable[[ServerState, Total, Settings], ServerState]
    contribute: Contribute = plain
    width: Callable[[int, Settings], int] = as_the_model
    broadcast: Callable[[ServerState], Broadcast] = silent
    unmasked: str = ""
    optimisers: tuple[str, ...] = ("adam", "sgd")
    keeps: bool = False
    waits: bool = True
    bounds: Bounds = field(default_factory=lambda: NO_BOUNDS)


@dataclass(frozen=True, slots=True)
class ByIndividual:
    """A strategy that compares the updates y - x of all clients, (n, d)."""

    name: str
    defaults: Settings
    init: Callable[[Flat, Settings], ServerState]
    apply: Callable[[ServerState, Sequence[Flat], Settings], ServerState]
    bounds: Bounds = field(default_factory=lambda: NO_BOUNDS)


Strategy: TypeAlias = BySum | ByIndividual


@dataclass(frozen=True, slots=True)
class Carried:
    """What a chunk of clients gets beside the parameters: the broadcast, and what each client kept, by subject."""

    broadcast: Broadcast = ()
    states: Mapping[str, Flat] = field(default_factory=dict)
