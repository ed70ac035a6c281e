"""`python -m tests.bench.learning_engines`: one worker's chunk against the bare loop over the same clients, in CPU time
of one process, called in turn; and what a simulated client costs as there are more of them."""

import asyncio
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from didymos_learning import Flat, derive
from didymos_learning.models import initial
from didymos_training_orchestration.adapters.chunk_work import CPU, CUDA, ChunkWork
from didymos_training_orchestration.adapters.simulated_clients import Chunk, ChunkSum, chunks
from didymos_training_orchestration.adapters.window_shards import ShardClients

from tests.bench.learning_bare import looped, stacked
from tests.bench.learning_workloads import FOLDER, WORKLOADS, Workload, install
from tests.bench.measure import Measure, measure

REPEATS: Final = 3
GROWTH: Final = (100, 1_000, 10_000)
PER_CHUNK: Final = 500


def cpu_seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def chunk_against_bare(load: Workload) -> Measure:
    """Clients a CPU second. Raises AssertionError unless both give the same sum to 2e-4 of a client's parameters."""
    folder, spec = load.data(), load.spec(3)
    work, params = ChunkWork(ShardClients(folder, load.task)), initial(spec.model, derive(spec.seed, "init"))
    by_hand = (stacked if load.engine == "stacked" else looped)(load.name, str(folder), 0, load.chunk)

    def ours() -> ChunkSum:
        return work.train(spec, params, 1, Chunk.at(0, load.chunk))

    def bare() -> Flat:
        return by_hand(params, 1)

    done = ours()
    np.testing.assert_allclose(done.total / done.weight, bare() / done.weight, atol=2e-4)
    pairs = [(cpu_seconds(ours), cpu_seconds(bare)) for _ in range(REPEATS)]
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    name = f"{load.name}, {load.engine}, {spec.model.layout.size:,} floats: a chunk of {load.chunk}"
    against = f"bare {load.chunk / other:,.0f}"
    return measure(name, load.chunk / mine, "clients/CPU s", against=against, ratio=other / mine, goal=0.95)


def growth(clients: int) -> list[Measure]:
    """A round of so many clients of the MLP through the chunks of one worker, as the coordinator asks for them."""
    load = WORKLOADS["mlp"]
    spec, folder = load.spec(3, clients), load.data(clients)
    work, params = ChunkWork(ShardClients(folder, load.task)), initial(spec.model, 1)
    asked = chunks(clients, PER_CHUNK)
    work.train(spec, params, 1, asked[0])
    sums: list[ChunkSum] = []

    async def round_() -> None:
        sums.extend([await asyncio.to_thread(work.train, spec, params, 1, chunk) for chunk in asked])

    used = cpu_seconds(lambda: asyncio.run(round_()))
    held = sum(one.total.nbytes for one in sums) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    assert sum(one.count for one in sums) == clients
    return [
        measure(f"mlp, {clients:,} clients: a round", 1e6 * used / clients, "CPU us/client"),
        measure(f"mlp, {clients:,} clients: sums", held, "MB", against=f"{len(asked)} rows, process {peak:,.0f} MB"),
    ]


def on_cuda(load: Workload) -> list[Measure]:
    """Wall time of a chunk on the CUDA device, against one CPU worker; nothing where torch finds none."""
    if not torch.cuda.is_available():
        print(f"{load.name} on CUDA: skipped, torch finds no device here", file=sys.stderr)
        return []
    folder, spec = load.data(), load.spec(3)
    people, params = ShardClients(folder, load.task), initial(spec.model, derive(spec.seed, "init"))
    works, chunk = [ChunkWork(people, device) for device in (CUDA, CPU)], Chunk.at(0, load.chunk)
    first, second = (work.train(spec, params, 1, chunk) for work in works)
    np.testing.assert_allclose(first.total / first.weight, second.total / second.weight, atol=1e-4)
    pairs = [[work.train(spec, params, 1, chunk).seconds for work in works] for _ in range(REPEATS)]
    there, here = (statistics.median(column) for column in zip(*pairs, strict=True))
    against = f"one CPU worker {load.chunk / here:,.0f}"
    return [measure(f"{load.name} on CUDA", load.chunk / there, "clients/s", against=against, ratio=here / there)]


def run(names: Sequence[str] = tuple(WORKLOADS)) -> list[Measure]:
    install()
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    grown = [line for clients in GROWTH for line in growth(clients)] if "mlp" in names else []
    cuda = [line for name in names for line in on_cuda(WORKLOADS[name])]
    return [*grown, *(chunk_against_bare(WORKLOADS[name]) for name in names), *cuda]


if __name__ == "__main__":
    from tests.bench.__main__ import table

    print(table(run(sys.argv[1:] or tuple(WORKLOADS))))
