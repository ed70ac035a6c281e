"""The sum of a clear round as its parts come, and what the server makes of it. learning.md section 5."""

from collections.abc import Sequence

import numpy as np
from didymos_did import Did
from didymos_learning import (
    BySum,
    Flat,
    LearningError,
    RunSpec,
    ServerState,
    Total,
    flat_view,
    settings_of,
    strategy_of,
)

from didymos_training_orchestration.application.world import World
from didymos_training_orchestration.domain.run import Run


class RunningSum:
    """Of the members `names`, in their order and in float64. A part is added, and gone, once all before it are there.

    So it holds one vector and the parts that came early, however many members there are. `spec` says how long a part
    is; the parts themselves are kept only for a strategy that compares them.
    """

    def __init__(self, names: Sequence[Did], spec: RunSpec) -> None:
        strategy, size = strategy_of(spec.strategy, spec.masking), spec.model.layout.size
        sums = isinstance(strategy, BySum)
        width = strategy.width(size, settings_of(strategy, spec.strategy)) if isinstance(strategy, BySum) else size
        self._names, self._next, self._early = names, 0, dict[Did, Total]()
        self._vector, self._weight, self._count = np.zeros(width), 0.0, 0
        self._added: list[Did] = []
        self._parts: list[Total] | None = None if sums else []

    def add(self, member: Did, part: Total) -> None:
        """Raises LearningError `training.layout_mismatched` for a part of another length."""
        if part.vector.shape != self._vector.shape:
            raise LearningError("training.layout_mismatched", expected=self._vector.size, actual=part.vector.shape)
        self._early[member] = part
        while self._next < len(self._names) and self._names[self._next] in self._early:
            self._take(self._names[self._next])
            self._next += 1

    def ended(self) -> tuple[tuple[Did, ...], Total, tuple[Total, ...]]:
        """Who is in the sum, in order; the sum; the parts, where they are kept. Nobody else comes."""
        for name in self._names[self._next :]:
            if name in self._early:
                self._take(name)
        self._next = len(self._names)
        return tuple(self._added), Total(self._vector, self._weight, self._count), tuple(self._parts or ())

    @property
    def names(self) -> tuple[Did, ...]:
        """Whose parts are here, in order."""
        return (*self._added, *(name for name in self._names[self._next :] if name in self._early))

    @property
    def early(self) -> int:
        """How many parts wait for one before them."""
        return len(self._early)

    def _take(self, name: Did) -> None:
        part = self._early.pop(name)
        self._vector += part.vector.astype(np.float32)
        self._weight += part.weight
        self._count += part.count
        self._added.append(name)
        if self._parts is not None:
            self._parts.append(part)


def applied(spec: RunSpec, total: Total, parts: Sequence[Total], server: ServerState) -> ServerState:
    """A strategy that compares takes the mean update of each member: a site, or a chunk of simulated clients."""
    strategy = strategy_of(spec.strategy, spec.masking)
    settings = settings_of(strategy, spec.strategy)
    if isinstance(strategy, BySum):
        return strategy.apply(server, total, settings)
    return strategy.apply(server, [(part.vector / part.weight).astype(np.float32) for part in parts], settings)


async def server_of(run: Run, world: World) -> ServerState:
    """What the server stands at: the parameters, and what the strategy kept or begins with."""
    params = await _vector(run, run.params, world)
    if run.moments:
        return ServerState(params, tuple([await _vector(run, digest, world) for digest in run.moments]))
    strategy = strategy_of(run.spec.strategy, run.spec.masking)
    return strategy.init(params, settings_of(strategy, run.spec.strategy))


async def _vector(run: Run, digest: bytes, world: World) -> Flat:
    return flat_view(await world.objects.get(digest) or b"", run.spec.model.layout.size)
