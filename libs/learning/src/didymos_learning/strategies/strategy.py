"""The records a strategy is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from didymos_learning.vector import Flat, Wide

Settings: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ServerState:
    """What the coordinator keeps between rounds: parameters (d,) and the optimiser's vectors (each (d,)), if any."""

    params: Flat
    moments: tuple[Flat, ...] = ()


@dataclass(frozen=True, slots=True)
class Total:
    """All that a masked round opens: the sum of the contributions (d,), the sum of their weights, and their number."""

    vector: Wide
    weight: float
    count: int


@dataclass(frozen=True, slots=True)
class BySum:
    """A strategy of one sum. A contribution is w (y - x), with w the windows of the subject."""

    name: str
    defaults: Settings
    init: Callable[[Flat], ServerState]
    apply: Callable[[ServerState, Total, Settings], ServerState]


@dataclass(frozen=True, slots=True)
class ByIndividual:
    """A strategy that compares the updates y - x of all subjects, (n, d)."""

    name: str
    defaults: Settings
    init: Callable[[Flat], ServerState]
    apply: Callable[[ServerState, Sequence[Flat], Settings], ServerState]


Strategy: TypeAlias = BySum | ByIndividual
