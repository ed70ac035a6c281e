"""`python -m tests.bench.learning_growth [CLIENTS ...]`: what a simulated client costs as there are more of them.

The 5 k MLP through the real coordinator and a pool of Ray actors, each number of clients in processes of its own. Cost
is CPU of all processes; memory is the peak of the coordinator's process alone; rows and answers are counted a round,
and must grow with chunks, not with clients. GROWTH_ENGINE=inline trains in the coordinator's process instead.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from didymos_contracts.metrics import TRAINING_CLIENTS_TOTAL
from didymos_kit.house import House
from didymos_training_orchestration.adapters.tables import MEMBERS, ROUNDS
from didymos_training_orchestration.adapters.window_shards import OFFSETS
from didymos_training_orchestration.bootstrap import NAME
from sqlalchemy import func, select

from tests.bench.learning_workloads import FOLDER, SAMPLES, WORKLOADS, install
from tests.bench.measure import Measure, measure
from tests.bench.processes import cpu_seconds

CLIENTS: Final = (100, 1_000, 10_000, 100_000)
PER_CHUNK: Final = 500
TRAINED: Final = 20_000  # clients in a run of few: so many rounds
BLOCK: Final = 2_000  # clients whose windows are drawn at once
ENGINE: Final = os.environ.get("GROWTH_ENGINE", "ray")
SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Grown:
    """`cpu_us` a client and round; `peak_mb`, `idle_mb` of the coordinator's process; a round's rows and answers."""

    clients: int
    rounds: int
    cpu_us: float
    idle_mb: float
    peak_mb: float
    chunks: int
    rows: float
    answers: float


def shards(clients: int) -> Path:
    """Windows of so many clients, drawn and written block by block; the same each time."""
    folder, task, rows = FOLDER / f"growth-{clients}", WORKLOADS["mlp"].task, clients * SAMPLES
    if (folder / OFFSETS).exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    shape, chance = (rows, task.input, task.channels), np.random.default_rng(9)
    inputs = np.lib.format.open_memmap(folder / "inputs.npy", "w+", np.float32, shape)
    targets = np.lib.format.open_memmap(folder / "targets.npy", "w+", np.float32, (rows,))
    for first in range(0, rows, BLOCK * SAMPLES):
        part = slice(first, min(first + BLOCK * SAMPLES, rows))
        inputs[part] = chance.normal(size=(part.stop - first, *shape[1:]))
        targets[part] = np.tanh(inputs[part, -1].sum(axis=1))
    np.save(folder / OFFSETS, np.arange(clients + 1) * SAMPLES)
    return folder


def memory_mb(kind: str) -> float:
    """VmRSS or VmHWM of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(kind)).split()[1]) / 1e3


async def grown(clients: int) -> Grown:
    from tests.bench.learning_ours import ours

    rounds = max(1, TRAINED // clients)
    spec, source = WORKLOADS["mlp"].spec(rounds, clients), shards(clients)
    with TemporaryDirectory() as place:
        async with ours(Path(place), source, PER_CHUNK, engine=ENGINE) as mine:
            await mine.run(WORKLOADS["mlp"].spec(1, clients))  # imports, and the windows that are kept
            rows, answers, used = await _rows(mine.house), _answers(mine.house), cpu_seconds(os.getpid())
            idle = memory_mb("VmRSS")
            await mine.run(spec)
            used = cpu_seconds(os.getpid()) - used
            rows, answers = await _rows(mine.house) - rows, _answers(mine.house) - answers
    chunks = -(-clients // PER_CHUNK)
    cost = 1e6 * used / clients / rounds
    return Grown(clients, rounds, cost, idle, memory_mb("VmHWM"), chunks, rows / rounds, answers / rounds)


async def _rows(house: House) -> int:
    """Rows of rounds and of members."""
    async with house.database(NAME) as database, database.read() as connection:
        counts = [await connection.execute(select(func.count()).select_from(table)) for table in (ROUNDS, MEMBERS)]
        return sum(int(count.scalar_one()) for count in counts)


def _answers(house: House) -> float:
    """Sums that came back from workers."""
    counter = house.metrics.counter(TRAINING_CLIENTS_TOTAL, outcome="delivered")
    return float(counter._value.get())  # type: ignore[attr-defined] # of prometheus_client


def run(clients: Sequence[int] = CLIENTS) -> list[Measure]:
    """Each in a process of its own, whose peak is its own."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = []
    for count in clients:
        command = [sys.executable, "-m", "tests.bench.learning_growth", "one", str(count)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=True)
        lines += _lines(Grown(**json.loads(done.stdout.splitlines()[-1])))
        print(done.stdout.splitlines()[-1], file=sys.stderr)
    return lines


def _lines(one: Grown) -> list[Measure]:
    title = f"mlp, {one.clients:,} clients in {one.chunks} chunks"
    peak = f"{one.idle_mb:,.0f} after a round"
    return [
        measure(f"{title}, {one.rounds} rounds", one.cpu_us, "CPU us/client", against="all processes"),
        measure(f"{title}: coordinator's peak", one.peak_mb, "MB", against=peak),
        measure(f"{title}: rows", one.rows, "a round", against=f"{one.answers:g} answers a round"),
    ]


def main(arguments: Sequence[str]) -> None:
    install()
    if arguments[:1] == ["one"]:
        print(json.dumps(asdict(asyncio.run(grown(int(arguments[1]))))))
        return
    from tests.bench.__main__ import table

    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, engine {ENGINE}")
    print(table(run([int(each) for each in arguments] or CLIENTS)))


if __name__ == "__main__":
    main(sys.argv[1:])
