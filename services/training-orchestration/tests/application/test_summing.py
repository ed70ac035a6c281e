"""A sum of parts as they come: the bits of one order, and few parts in memory."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from didymos_did import Did
from didymos_learning import LearningError, StrategySpec, Total, ordered_sum
from didymos_testing.did import RESEARCH
from didymos_testing.training import BUYER, a_spec
from didymos_training_orchestration.adapters.simulated_clients import EARLY, Chunk, ChunkSum, SimulatedClients, chunks
from didymos_training_orchestration.application.results import Order, Part
from didymos_training_orchestration.application.summing import RunningSum
from didymos_training_orchestration.domain.cohort import Cohort, Member, use_of
from didymos_training_orchestration.domain.run import RunId

SPEC = a_spec(masking="none")
SIZE = SPEC.model.layout.size
NAMES = tuple(Did(f"did:site:{name}") for name in "abcd")


def parts() -> list[Total]:
    chance = np.random.default_rng(2)
    made = [(chance.normal(size=SIZE) * 10.0**scale).astype(np.float32) for scale in (0, 6, -6, 3)]
    return [Total(vector.astype(np.float64), 0.1 * at, at) for at, vector in enumerate(made, 1)]


@pytest.mark.parametrize("order", [*permutations(range(4))][::5])
def test_the_order_of_arrival_changes_no_bit(order: Sequence[int]) -> None:
    said, running = parts(), RunningSum(NAMES, SPEC)
    for at in order:
        running.add(NAMES[at], said[at])
    names, total, kept = running.ended()
    expected = ordered_sum([part.vector.astype(np.float32) for part in said], SIZE)
    assert (names, total.vector.tobytes(), kept) == (NAMES, expected.tobytes(), ())
    assert (total.weight, total.count) == (sum(part.weight for part in said), 10)


def test_who_does_not_come_is_not_waited_for_at_the_end() -> None:
    said, running = parts(), RunningSum(NAMES, SPEC)
    for at in (3, 1, 0):
        running.add(NAMES[at], said[at])
    assert (running.names, running.early) == ((NAMES[0], NAMES[1], NAMES[3]), 1)
    names, total, _ = running.ended()
    expected = ordered_sum([said[at].vector.astype(np.float32) for at in (0, 1, 3)], SIZE)
    assert (names, total.vector.tobytes()) == ((NAMES[0], NAMES[1], NAMES[3]), expected.tobytes())


def test_only_a_strategy_that_compares_keeps_the_parts() -> None:
    running = RunningSum(NAMES, a_spec(masking="none", strategy=StrategySpec("median", {})))
    for name, part in zip(NAMES, parts(), strict=True):
        running.add(name, part)
    assert len(running.ended()[2]) == 4


def test_a_part_of_another_length_is_refused() -> None:
    with pytest.raises(LearningError, match=r"training\.layout_mismatched"):
        RunningSum(NAMES, SPEC).add(NAMES[0], Total(np.zeros(SIZE + 1), 1.0, 1))


class Counting:
    """A trainer that knows how many sums are out: begun, and not taken yet."""

    width = 2

    def __init__(self) -> None:
        self.begun, self.taken, self.most = 0, 0, 0

    async def begin(self, params: Any) -> None:
        pass

    async def train(self, spec: Any, round_: int, chunk: Chunk, attempt: int) -> ChunkSum:
        self.begun += 1
        self.most = max(self.most, self.begun - self.taken)
        return ChunkSum(np.zeros(SIZE, np.float32), 1.0, 1)

    async def carry(self, spec: Any, round_: int, chunk: Chunk, attempt: int, carried: Any) -> ChunkSum:
        return await self.train(spec, round_, chunk, attempt)


@pytest.mark.parametrize("count", [3, 200])
async def test_sums_that_wait_are_as_many_as_calls_in_flight_and_not_as_chunks(count: int) -> None:
    trainer = Counting()
    members = tuple(Member(chunk.name, (), 1) for chunk in chunks(count, 1))
    use = use_of(BUYER.did, RESEARCH, "", SPEC)
    order = Order(RunId("run"), 1, 1, 0, SPEC, use, Cohort(members), b"p" * 32)
    running = RunningSum(order.cohort.names, SPEC)
    async for result in SimulatedClients(count, 1, trainer).results(order):
        assert isinstance(result, Part)
        trainer.taken += 1
        running.add(result.member, result.total)
        assert running.early == 0
    assert trainer.most <= EARLY * trainer.width
    assert running.ended()[1].count == count
