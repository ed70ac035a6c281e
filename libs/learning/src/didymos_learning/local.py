"""What a strategy sees of one client: a way to train and to measure, and no window. ADR 120."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from didymos_learning.layout import Layout
from didymos_learning.spec import RunSpec, derive
from didymos_learning.strategies import Reached
from didymos_learning.vector import Flat
from didymos_learning.windows import ClientData

if TYPE_CHECKING:
    from didymos_learning.engine import Engine


class EngineLocal:
    """Fills `Local` with the loop engine, for one client in one round (from 1)."""

    def __init__(self, engine: "Engine", client: ClientData, spec: RunSpec, round_: int) -> None:
        self._engine, self._client, self._spec, self._round = engine, client, spec, round_
        self._passes = 0

    @property
    def weight(self) -> float:
        return min(float(len(self._client.fit)), self._spec.cohort.max_weight)

    @property
    def rate(self) -> float:
        return self._spec.local.rate(self._round, self._spec.rounds)

    @property
    def clip(self) -> float | None:
        return self._spec.local.clip

    @property
    def layout(self) -> Layout:
        return self._engine.layout

    def luck(self, purpose: str) -> int:
        return derive(self._spec.seed, purpose, self._round, self._client.subject)

    def train(
        self,
        start: Flat,
        *,
        drift: Flat | None = None,
        pull: tuple[float, Flat] | None = None,
        only: NDArray[np.bool_] | None = None,
    ) -> Reached:
        """The first pass shuffles by `derive(seed, "client", round, subject)`, those after it add their number."""
        path: tuple[str | int, ...] = (self._round, self._client.subject)
        self._passes += 1
        seed = derive(self._spec.seed, "client", *path, *((self._passes,) if self._passes > 1 else ()))
        self._engine.load(start)
        before = self._engine.steps
        *_, loss = self._engine.train(
            self._client.fit, self._spec.local, self.rate, seed, drift=drift, pull=pull, only=only
        )
        return Reached(self._engine.params(), self._engine.steps - before, loss)

    def loss(self, params: Flat) -> float:
        return self._engine.loss(params, self._client.fit, self._spec.local.huber)
