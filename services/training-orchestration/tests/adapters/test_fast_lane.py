"""The fast lane: the same bits as a call, on one worker, two or three; and what is lost when a worker goes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from didymos_learning import Flat, LearningError, RunSpec, TaskSpec, flat_bytes, model_spec
from didymos_learning.models import initial
from didymos_testing.training import a_spec
from didymos_training_orchestration.adapters.chunk_work import ChunkWork
from didymos_training_orchestration.adapters.fast_lane import serve
from didymos_training_orchestration.adapters.lanes import Lanes
from didymos_training_orchestration.adapters.simulated_clients import (
    Chunk,
    ChunkLostError,
    ChunkSum,
    chunks,
    load_clients,
)
from didymos_training_orchestration.adapters.window_shards import write_shards

TASK = TaskSpec("regress", "load", "kW", 0, 1, 0, "none", columns=3)
PEOPLE, PER_CHUNK = 23, 4
Train = Callable[[Flat, int, Chunk], ChunkSum]


def stacked_spec() -> RunSpec:
    spec = a_spec(masking="none", engine="stacked", model=model_spec("mlp", {"width": 8, "skip": 0}, TASK))
    return replace(spec, local=replace(spec.local, batch=4, optimiser="sgd", lr=0.05, lr_end=0.05))


def a_folder(path: Path) -> Path:
    chance = np.random.default_rng(4)
    offsets = np.cumsum([0, *chance.integers(0, 9, PEOPLE)])
    inputs = chance.normal(size=(offsets[-1], 1, 3)).astype(np.float32)
    return write_shards(path, inputs, inputs.sum(axis=(1, 2)), offsets)


@asynccontextmanager
async def lanes_to(workers: int, params: Flat, train: Callable[[int], Train]) -> AsyncIterator[Lanes]:
    """Workers are threads here: a lane does not know."""
    threads: list[Thread] = []

    def work(path: Path, size: int, number: int) -> None:
        with suppress(SystemExit):
            serve(path, size, train(number))

    async def attend(number: int, path: Path, size: int) -> None:
        assert number < workers
        threads.append(Thread(target=work, args=(path, size, number)))
        threads[-1].start()

    lanes = Lanes(attend, params)
    try:
        yield lanes
    finally:
        lanes.close()
        for thread in threads:
            await asyncio.to_thread(thread.join, 10.0)
            assert not thread.is_alive()


@pytest.mark.parametrize("workers", [1, 2, 3])
async def test_lanes_give_the_bits_of_a_call_on_any_number_of_workers(tmp_path: Path, workers: int) -> None:
    spec, clients = stacked_spec(), load_clients(a_folder(tmp_path), TASK)
    work, start = ChunkWork(clients), initial(stacked_spec().model, 5)
    each = [ChunkWork(clients) for _ in range(workers)]
    asked = chunks(len(clients), PER_CHUNK)

    def of(number: int) -> Train:
        return lambda params, round_, chunk: each[number].train(spec, params, round_, chunk)

    async with lanes_to(workers, start, of) as lanes:
        for round_, params in ((1, start), (2, start + np.float32(0.5))):
            lanes.begin(params)
            got = await asyncio.gather(
                *(lanes.train(at % workers, round_, chunk) for at, chunk in enumerate(asked))
            )  # more calls than a lane has blocks: the rest wait
            expected = [work.train(spec, params, round_, chunk) for chunk in asked]
            assert [flat_bytes(one.total) for one in got] == [flat_bytes(one.total) for one in expected]
            assert [(one.weight, one.count) for one in got] == [(one.weight, one.count) for one in expected]
    assert sum(one.count for one in got) == PEOPLE


async def test_a_worker_that_goes_loses_its_chunk_and_comes_back_to_a_new_lane() -> None:
    deaths = iter([True, False])

    def train(params: Flat, _round: int, _chunk: Chunk) -> ChunkSum:
        if next(deaths):
            raise SystemExit  # ends the thread, and hangs up
        return ChunkSum(params * 2, 1.0, 1, 0.5)

    async with lanes_to(1, np.ones(4, np.float32), lambda _: train) as lanes:
        with pytest.raises(ChunkLostError):
            await lanes.train(0, 1, Chunk.at(0, 1))
        again = await lanes.train(0, 1, Chunk.at(0, 1))
    assert (again.total.tolist(), again.seconds) == ([2.0] * 4, 0.5)


async def test_what_training_refuses_comes_over_the_lane_as_its_code() -> None:
    def train(_params: Flat, _round: int, _chunk: Chunk) -> ChunkSum:
        raise LearningError("training.update_not_finite")

    async with lanes_to(1, np.ones(4, np.float32), lambda _: train) as lanes:
        with pytest.raises(LearningError, match=r"training\.update_not_finite"):
            await lanes.train(0, 1, Chunk.at(0, 1))


async def test_a_worker_that_cannot_come_loses_the_chunk() -> None:
    async def attend(_number: int, _path: Path, _size: int) -> None:
        raise ConnectionError

    lanes = Lanes(attend, np.ones(4, np.float32))
    with pytest.raises(ChunkLostError):
        await lanes.train(0, 1, Chunk.at(0, 1))
    lanes.close()


def test_an_engine_that_cannot_train_the_model_says_so(tmp_path: Path) -> None:
    work = ChunkWork(load_clients(a_folder(tmp_path), TASK))
    spec = replace(stacked_spec(), model=model_spec("gru", {"units": 2, "skip": 0}, TASK))
    with pytest.raises(LearningError, match="stacked"):
        work.train(spec, initial(spec.model, 1), 1, Chunk.at(0, 2))
