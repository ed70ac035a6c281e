"""Runs over Ray: an actor that is killed with a chunk in hand, and two nodes instead of one, change no bit."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from didymos_learning import CohortSpec, RunSpec, TaskSpec, model_spec
from didymos_testing.training import a_spec
from didymos_training_orchestration.adapters.ray_clients import START_SECONDS, TOKEN
from didymos_training_orchestration.adapters.window_shards import write_shards
from didymos_training_orchestration.settings import SimulationSettings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),  # Ray takes its time to start, more so on a machine that is busy
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
]
TASK: Final = TaskSpec("regress", "load", "kW", 0, 1, 0, "none", columns=3)
PEOPLE, PER_CHUNK, WINDOWS = 24, 6, 16
QUICK, LONG = ("stacked", 1, 150), ("loop", 60, 6)  # by a lane in groups; by calls that take longer than a lane is for
# Two nodes of this machine: whoever starts them has their address, and they end with its standard input.
_NODES: Final = """
import logging, sys
from ray.cluster_utils import Cluster
made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
made.add_node(num_cpus=1)
made.wait_for_nodes()
print(made.address, flush=True)
sys.stdin.read()
made.shutdown()
"""


def spec_of(engine: Any, epochs: int, rounds: int) -> RunSpec:
    spec = a_spec(masking="none", engine=engine, model=model_spec("mlp", {"width": 4, "skip": 0}, TASK), rounds=rounds)
    local = replace(spec.local, batch=4, epochs=epochs, optimiser="sgd", lr=0.01, lr_end=0.01)
    return replace(spec, local=local, cohort=CohortSpec(1, 1, PEOPLE, 100.0))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    inputs = np.random.default_rng(4).normal(size=(WINDOWS * PEOPLE, 1, 3)).astype(np.float32)
    borders = np.arange(PEOPLE + 1) * WINDOWS
    return write_shards(tmp_path / "shards", inputs, inputs.sum(axis=(1, 2)), borders)


async def whole(coordinator_in: Callable[..., Any], folder: Path, source: Path, specs: list[RunSpec]) -> list[str]:
    """The parameters of each run in one process, undisturbed."""
    simulation, found = SimulationSettings(source=source, clients_per_chunk=PER_CHUNK, engine="inline"), []
    async with coordinator_in(folder, simulation=simulation) as coordinator:
        for spec in specs:
            run = await coordinator.make(spec, agreement="", clients="simulated")
            await coordinator.start(run)
            found.append((await coordinator.ended(run))["params_digest"])
    return found


async def test_kill_9_of_an_actor_with_a_chunk_in_hand_changes_no_bit(
    tmp_path: Path, source: Path, coordinator_in: Callable[..., Any]
) -> None:
    specs, found = [spec_of(*LONG), spec_of(*QUICK)], []
    simulation = SimulationSettings(source=source, clients_per_chunk=PER_CHUNK, engine="ray", workers=2)
    async with coordinator_in(tmp_path / "killed", simulation=simulation) as coordinator:
        for spec in specs:
            run = await coordinator.make(spec, agreement="", clients="simulated")
            assert (await coordinator.start(run)).status_code == 200
            await coordinator.until(run, lambda shown: shown["round"] >= 1)
            victim = actors()[0]
            os.kill(victim, signal.SIGSTOP)  # whatever it was told, it does not finish
            await stalled(coordinator, run)
            os.kill(victim, signal.SIGKILL)
            ended = await coordinator.ended(run)
            assert (ended["state"], ended["committed"]) == ("completed", spec.rounds), ended
            assert victim not in actors()
            found.append(ended["params_digest"])
    assert found == await whole(coordinator_in, tmp_path / "whole", source, specs)


async def test_two_nodes_give_the_bits_of_one_process(
    tmp_path: Path, source: Path, coordinator_in: Callable[..., Any]
) -> None:
    specs, found = [spec_of(*QUICK)], []
    with two_nodes() as address:
        simulation = SimulationSettings(
            source=source, clients_per_chunk=PER_CHUNK, engine="ray", workers=2, ray_address=address
        )
        async with coordinator_in(tmp_path / "two", simulation=simulation) as coordinator:
            assert len(raylets_of_actors()) == 2
            for spec in specs:
                run = await coordinator.make(spec, agreement="", clients="simulated")
                assert (await coordinator.start(run)).status_code == 200
                ended = await coordinator.ended(run)
                assert (ended["state"], ended["committed"]) == ("completed", spec.rounds), ended
                found.append(ended["params_digest"])
    assert found == await whole(coordinator_in, tmp_path / "one", source, specs)


async def stalled(coordinator: Any, run: str) -> None:
    """Until no round ends any more: the stopped actor has a chunk in hand."""
    seen = -1
    for _ in range(40):
        shown = await coordinator.until(run, lambda _: True)
        if shown["round"] == seen:
            assert shown["state"] == "running", "the run ended before the actor was stopped"
            return
        seen = shown["round"]
        await asyncio.sleep(1.5)
    raise AssertionError("rounds went on")


@contextmanager
def two_nodes() -> Iterator[str]:
    """A head and a second raylet of one CPU each; the address of the head."""
    os.environ |= TOKEN
    environ = {**os.environ, "RAY_raylet_start_wait_time_s": str(START_SECONDS)}
    command = [sys.executable, "-c", _NODES]
    nodes = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
    try:
        assert nodes.stdout is not None
        lines = (line.strip() for line in iter(nodes.stdout.readline, ""))
        yield next(line for line in lines if line.rpartition(":")[2].isdigit())
    finally:
        nodes.communicate(timeout=240)


def actors() -> list[int]:
    """The processes of our actors, by number: descendants of this one."""
    return sorted(pid for pid, parents in descendants().items() if b"TrainerActor" in command_of(pid) and parents)


def raylets_of_actors() -> set[int]:
    return {descendants()[pid][0] for pid in actors()}


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def descendants() -> dict[int, list[int]]:
    """Of this process: each with its parents, the next one first."""
    parent: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {}
    for pid in parent:
        line, at = [], pid
        while at in parent and at != os.getpid():
            at = parent[at]
            line.append(at)
        if at == os.getpid() and line:
            found[pid] = line
    return found
