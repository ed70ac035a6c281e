"""What each adapter of simulated clients promises: the same seed gives the same bits, in whatever process, or none."""

import csv
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from didymos_learning import GLUCOSE_TASK, Carried, StrategySpec, flat_bytes
from didymos_learning.inline import initial_params
from didymos_testing.did import RESEARCH
from didymos_testing.training import BUYER, a_spec
from didymos_training_orchestration.adapters.chunk_work import ChunkWork
from didymos_training_orchestration.adapters.inline_clients import InlineTrainer
from didymos_training_orchestration.adapters.ray_clients import RayTrainer
from didymos_training_orchestration.adapters.simulated_clients import (
    Chunk,
    ChunkLostError,
    ChunkSum,
    SimulatedClients,
    Trainer,
    chunks,
    load_clients,
)
from didymos_training_orchestration.application.results import Lost, Order, Part
from didymos_training_orchestration.domain.cohort import Cohort, Member, use_of
from didymos_training_orchestration.domain.run import RunId

PEOPLE, PER_CHUNK = 5, 2
SPEC = a_spec(masking="none")


def write_people(path: Path, readings: int = 240) -> Path:
    """Five people whose sugar swings, each in a rhythm of their own; one of them hardly measured."""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "time", "gl"])
        for person in range(PEOPLE + 1):
            for at in range(readings if person < PEOPLE else 5):
                when = begun + timedelta(minutes=5 * at)
                level = 120 + 40 * np.sin(at / (5 + person)) + person
                rows.writerow([f"person {person}", when.strftime("%Y-%m-%d %H:%M:%S"), round(float(level), 1)])
    return path


def an_order(**changes: Any) -> Order:
    members = tuple(Member(chunk.name, (), chunk.last - chunk.first) for chunk in chunks(PEOPLE, PER_CHUNK))
    use = use_of(BUYER.did, RESEARCH, "", SPEC)
    return replace(Order(RunId("run"), 1, 1, 0, SPEC, use, Cohort(members), b"p" * 32), **changes)


async def parts_of(clients: SimulatedClients, order: Order) -> list[tuple[str, bytes, float, int]]:
    """The parts in the order in which they come."""
    await clients.open(order, initial_params(SPEC))
    found = [result async for result in clients.results(order)]
    assert all(isinstance(result, Part) for result in found), found
    return [
        (each.member, flat_bytes(each.total.vector.astype(np.float32)), each.total.weight, each.total.count)
        for each in found
        if isinstance(each, Part)
    ]


class SimulatedContract:
    """Each subclass says where chunks are trained."""

    trainer: ClassVar[Any]

    async def test_every_chunk_answers_one_sum_in_the_order_of_the_cohort(self, tmp_path: Path) -> None:
        source = write_people(tmp_path / "people.csv")
        async with self.trainer(source) as trainer:  # first: Ray forks, and torch has threads once it computed
            clients = SimulatedClients(PEOPLE, PER_CHUNK, trainer)
            assert await clients.offered(SPEC) == clients_offer()
            first = await parts_of(clients, an_order())
            again = await parts_of(clients, an_order())
            other = await parts_of(clients, an_order(round=2))
            expected = await bare(source, an_order())
        assert first == again == expected
        assert [name for name, *_ in first] == list(an_order().cohort.names)
        assert [raw for _, raw, *_ in other] != [raw for _, raw, *_ in first]

    async def test_a_chunk_that_carries_states_is_the_same_wherever_it_is_trained(self, tmp_path: Path) -> None:
        source = write_people(tmp_path / "people.csv")
        local = replace(SPEC.local, optimiser="sgd", lr=0.05, lr_end=0.05)
        spec = replace(SPEC, local=local, strategy=StrategySpec("scaffold", {}))
        params, chunk = initial_params(spec), chunks(PEOPLE, PER_CHUNK)[0]
        carried = Carried(broadcast=(np.full(params.size, 0.01, np.float32),))
        async with self.trainer(source) as trainer:
            await trainer.begin(params)
            done = await trainer.carry(spec, 1, chunk, 0, carried)
        here = ChunkWork(load_clients(source, GLUCOSE_TASK)).carry(spec, params, 1, chunk, carried)
        assert flat_bytes(done.total) == flat_bytes(here.total)
        assert len(done.total) == 2 * params.size
        assert {name: flat_bytes(state) for name, state in done.states.items()} == {
            name: flat_bytes(state) for name, state in here.states.items()
        }
        assert len(done.states) == chunk.last - chunk.first > 0


def test_a_chunk_has_the_same_bits_in_whatever_thread_of_this_process_it_is_trained(tmp_path: Path) -> None:
    """Each of these threads is new: libraries below torch would give it as many threads as there are cores."""
    source = write_people(tmp_path / "people.csv", 600)
    work, params, chunk = ChunkWork(load_clients(source, GLUCOSE_TASK)), initial_params(SPEC), chunks(PEOPLE, PEOPLE)[0]
    found = []
    for _ in range(3):
        with ThreadPoolExecutor(1) as thread:
            found.append(thread.submit(work.train, SPEC, params, 1, chunk).result())
    assert len({flat_bytes(done.total) for done in found}) == 1


def clients_offer() -> Any:
    from didymos_training_orchestration.application.results import Offer

    return Offer(chunks={member.name: member.size for member in an_order().cohort.members})


async def bare(source: Path, order: Order) -> list[tuple[str, bytes, float, int]]:
    """The sums without any of our machinery."""
    from didymos_learning.engine import Engine, train_chunk

    people = load_clients(source, GLUCOSE_TASK)
    made = []
    for chunk in chunks(PEOPLE, PER_CHUNK):
        done = train_chunk(
            Engine(SPEC.model), people[chunk.first : chunk.last], initial_params(SPEC), SPEC, order.round
        )
        made.append((str(chunk.name), flat_bytes(done.total), done.weight, done.count))
    return made


@asynccontextmanager
async def inline(source: Path) -> AsyncIterator[Trainer]:
    yield InlineTrainer(load_clients(source, GLUCOSE_TASK))


@asynccontextmanager
async def with_ray(source: Path) -> AsyncIterator[Trainer]:
    async with RayTrainer(source, workers=2) as trainer:
        yield trainer


class TestInline(SimulatedContract):
    trainer = staticmethod(inline)


@pytest.mark.slow
@pytest.mark.timeout(400)  # Ray takes its time to start, more so on a machine that is busy
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
class TestRay(SimulatedContract):
    trainer = staticmethod(with_ray)


async def test_nobody_owns_a_simulated_client() -> None:
    clients = SimulatedClients(PEOPLE, PER_CHUNK, Failing(0))
    await clients.close(an_order(), "committed", "")
    assert await clients.personalise(an_order(), initial_params(SPEC)) == ()


def test_who_has_too_few_readings_is_left_out(tmp_path: Path) -> None:
    found = load_clients(write_people(tmp_path / "people.csv"), GLUCOSE_TASK)
    assert [client.subject for client in found] == [f"person {number}" for number in range(PEOPLE)]
    assert len(load_clients(tmp_path, GLUCOSE_TASK)) == PEOPLE  # a folder of such files


@pytest.mark.parametrize(("people", "most", "sizes"), [(10, 4, [3, 3, 4]), (3, 5, [3]), (0, 5, []), (4, 2, [2, 2])])
def test_chunks_are_even_and_cover_everybody(people: int, most: int, sizes: Sequence[int]) -> None:
    made = chunks(people, most)
    assert [chunk.last - chunk.first for chunk in made] == sizes
    assert [chunk.name for chunk in made] == sorted(chunk.name for chunk in made)


class Failing:
    """A trainer of which a worker dies now and then, or which is given data that cannot be trained on."""

    width = 2

    def __init__(self, deaths: int, error: Exception | None = None) -> None:
        self.deaths, self.error = deaths, error

    async def begin(self, params: Any) -> None:
        pass

    async def train(self, spec: Any, round_: int, chunk: Chunk, attempt: int) -> ChunkSum:
        if self.error is not None:
            raise self.error
        if attempt < self.deaths:
            raise ChunkLostError(chunk.name)
        return ChunkSum(np.zeros(spec.model.layout.size, np.float32), 1.0, 1)

    async def carry(self, spec: Any, round_: int, chunk: Chunk, attempt: int, carried: Any) -> ChunkSum:
        return await self.train(spec, round_, chunk, attempt)


async def test_a_chunk_runs_elsewhere_when_its_worker_died() -> None:
    results = [one async for one in SimulatedClients(PEOPLE, PER_CHUNK, Failing(2)).results(an_order())]
    assert [type(result) for result in results] == [Part] * 3


async def test_a_chunk_that_fails_three_times_is_lost_and_never_a_partial_sum() -> None:
    results = [one async for one in SimulatedClients(PEOPLE, PER_CHUNK, Failing(3)).results(an_order())]
    assert [result.code for result in results if isinstance(result, Lost)] == ["worker_lost"] * 3


async def test_a_chunk_whose_update_is_not_finite_is_lost_with_its_code() -> None:
    from didymos_learning import LearningError

    failing = Failing(0, LearningError("training.update_not_finite"))
    results = [one async for one in SimulatedClients(PEOPLE, PER_CHUNK, failing).results(an_order())]
    assert {result.code for result in results if isinstance(result, Lost)} == {"training.update_not_finite"}
