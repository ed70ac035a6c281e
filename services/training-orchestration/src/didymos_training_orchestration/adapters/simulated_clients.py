"""Simulated clients in chunks: one call trains a chunk and answers one sum. learning.md sections 3 to 5."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final, Protocol, Self

import numpy as np
from didymos_did import Did
from didymos_learning import (
    BySum,
    Carried,
    ClientData,
    Flat,
    LearningError,
    RunSpec,
    TaskSpec,
    Total,
    client_data,
    read_glucose,
    strategy_of,
)
from didymos_learning.strategies import Broadcast, plain

from didymos_training_orchestration.adapters.client_states import ClientStates, StateName
from didymos_training_orchestration.adapters.window_shards import ShardClients, is_shards
from didymos_training_orchestration.application.results import Lost, Offer, Order, Part, Result
from didymos_training_orchestration.domain.contribution import SubjectReport

FAILURES: Final = 3  # of one chunk, then it is lost
EARLY: Final = 2  # times the calls in flight: sums that may wait for their turn


@dataclass(frozen=True, slots=True)
class ChunkSum:
    """What one call answers: the weighted sum (d,), the weights, how many clients are in it, and how long it took."""

    total: Flat
    weight: float
    count: int
    seconds: float = 0.0
    states: Mapping[str, Flat] = field(default_factory=dict)  # what its clients keep, by subject; of the chunk: ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Clients `first` up to, not with, `last` of the sorted population, by index: `name` stands in the cohort."""

    name: Did
    first: int
    last: int

    @classmethod
    def at(cls, first: int, last: int) -> Self:
        """A chunk of which nobody needs the name."""
        return cls(Did("chunk:"), first, last)


class Trainer(Protocol):
    """Where chunks are trained."""

    @property
    def width(self) -> int:
        """How many calls may be in flight."""

    async def begin(self, params: Flat) -> None:
        """The parameters of a round, handed out once."""

    async def train(self, spec: RunSpec, round_: int, chunk: Chunk, attempt: int) -> ChunkSum:
        """Raises ChunkLostError when the worker died: the chunk may run elsewhere, with the same bits."""

    async def carry(self, spec: RunSpec, round_: int, chunk: Chunk, attempt: int, carried: Carried) -> ChunkSum:
        """As `train`, for a strategy that takes more than parameters along, or for a sum that is compressed."""


class ChunkLostError(RuntimeError):
    """A worker died with a chunk in hand."""


class SimulatedClients:
    """Fills `Clients` for runs in clear. Chunk borders depend on the population and `per_chunk` only."""

    def __init__(self, population: int, per_chunk: int, trainer: Trainer, states: ClientStates | None = None) -> None:
        self._chunks = chunks(population, per_chunk)
        self._trainer = trainer
        self._states = states
        self._broadcast: Broadcast = ()

    def keeps(self, spec: RunSpec) -> bool:
        return carries(spec)

    def engine(self, spec: RunSpec) -> str:
        """What takes states along is trained client by client."""
        return "loop" if carries(spec) else spec.engine

    async def offered(self, spec: RunSpec) -> Offer:
        del spec
        return Offer(chunks={chunk.name: chunk.last - chunk.first for chunk in self._chunks})

    async def changed(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def open(self, order: Order, params: Flat, broadcast: Broadcast = ()) -> None:
        del order
        self._broadcast = broadcast
        await self._trainer.begin(params)

    async def results(self, order: Order) -> AsyncIterator[Result]:
        """In the order of the cohort. At most `width` calls are in flight, and no chunk begins that is `EARLY` times as
        many before its turn: so few sums wait in memory, however many chunks there are."""
        asked = {member.name for member in order.cohort.members}
        room, most = asyncio.Semaphore(self._trainer.width), EARLY * self._trainer.width
        waiting: deque[asyncio.Task[Result]] = deque()
        try:
            for chunk in self._chunks:
                if chunk.name not in asked:
                    continue
                if len(waiting) == most:
                    yield await waiting.popleft()
                waiting.append(asyncio.create_task(self._train(order, chunk, room)))
            while waiting:
                yield await waiting.popleft()
        finally:
            await _dropped(waiting)

    async def _train(self, order: Order, chunk: Chunk, room: asyncio.Semaphore) -> Result:
        async with room:
            for attempt in range(FAILURES):
                try:
                    done = await self._answer(order, chunk, attempt)
                except ChunkLostError:
                    continue
                except LearningError as error:
                    return Lost(chunk.name, error.code)
                return Part(chunk.name, Total(done.total.astype(np.float64), done.weight, done.count))
        return Lost(chunk.name, "worker_lost")

    async def _answer(self, order: Order, chunk: Chunk, attempt: int) -> ChunkSum:
        """With what its clients kept from the last committed round, where the strategy lets them keep something."""
        if not carries(order.spec):
            return await self._trainer.train(order.spec, order.round, chunk, attempt)
        if self._states is None:
            raise RuntimeError("no place for what clients keep")
        name = StateName(order.run, chunk.name)
        carried = Carried(self._broadcast, await self._states.kept(name))
        done = await self._trainer.carry(order.spec, order.round, chunk, attempt, carried)
        await self._states.offer(name, order.round, done.states)
        return done

    async def close(self, order: Order, outcome: str, reason: str) -> None:
        """What clients of this round would keep holds from now on, or never did."""
        del reason
        if self._states is not None and carries(order.spec):
            for chunk in self._chunks:
                name = StateName(order.run, chunk.name)
                await self._states.settle(name, order.round, committed=outcome == "committed")

    async def personalise(self, order: Order, params: Flat) -> Sequence[SubjectReport]:
        """Nobody owns a simulated client: there are no personal models."""
        del order, params
        return ()


async def _dropped(tasks: Collection[asyncio.Task[Result]]) -> None:
    """End what nobody waits for any more."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.gather(*tasks, return_exceptions=True)


def carries(spec: RunSpec) -> bool:
    """Whether a chunk needs more than parameters: then it does not go by a fast lane."""
    strategy = strategy_of(spec.strategy, "none")
    sends_more = isinstance(strategy, BySum) and strategy.contribute is not plain
    return sends_more or spec.strategy.compression.kind != "none"


def chunks(population: int, per_chunk: int) -> tuple[Chunk, ...]:
    """Even chunks of at most `per_chunk` clients; sizes differ by one at most."""
    count = -(-population // per_chunk)
    borders = [population * at // count for at in range(count + 1)] if count else [0]
    return tuple(Chunk(Did(f"chunk:{at:06d}"), first, last) for at, (first, last) in enumerate(pairwise(borders)))


def load_clients(source: Path, task: TaskSpec) -> Sequence[ClientData]:
    """The people of a CSV, or of each CSV in a folder, sorted by name; who has too few readings is left out.

    Or the clients of a folder of windows (`window_shards`).
    """
    if is_shards(source):
        return ShardClients(source, task)
    files = sorted(source.glob("*.csv*")) if source.is_dir() else [source]
    people = {name: series for file in files for name, series in read_glucose(file).items()}
    found = []
    for name in sorted(people):
        try:
            found.append(client_data(name, people[name], task))
        except LearningError:
            continue
    return found
