"""Rounds of milliseconds are committed in groups: whatever is cut off is computed again, with the same bits."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from didymos_contracts.errors import Problem
from didymos_did import Purpose
from didymos_kit.database import outbox
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.faults import VARIABLE
from didymos_kit.files.folder import FolderFiles
from didymos_kit.ids import OrderedIds
from didymos_kit.telemetry.metrics import Metrics
from didymos_learning import CohortSpec, RunSpec, TaskSpec, flat_bytes, model_spec
from didymos_learning.inline import initial_params
from didymos_testing.clock import FixedClock
from didymos_testing.training import BUYER, a_spec
from didymos_training_orchestration.adapters.chunk_work import ChunkWork
from didymos_training_orchestration.adapters.inline_clients import InlineTrainer
from didymos_training_orchestration.adapters.mathematics import TorchMathematics
from didymos_training_orchestration.adapters.meters import HouseMeters
from didymos_training_orchestration.adapters.objects import FileObjects
from didymos_training_orchestration.adapters.simulated_clients import (
    Chunk,
    ChunkLostError,
    ChunkSum,
    SimulatedClients,
    chunks,
    load_clients,
)
from didymos_training_orchestration.adapters.window_shards import write_shards
from didymos_training_orchestration.adapters.work import SqlUnits
from didymos_training_orchestration.application.drive_run import drive_run
from didymos_training_orchestration.application.ports import Units, Work
from didymos_training_orchestration.application.quick_rounds import KEPT
from didymos_training_orchestration.application.start_run import pause_run, resume_run
from didymos_training_orchestration.application.world import World
from didymos_training_orchestration.domain.run import Run, RunId, RunState, Terms

RUN, ROUNDS, PEOPLE, PER_CHUNK = RunId("run"), 60, 10, 5
TASK = TaskSpec("regress", "load", "kW", 0, 1, 0, "none", columns=3)
TICK = 0.02  # a look at the clock: 25 rounds are a group


class Ticking(FixedClock):
    """Goes on by itself whenever somebody asks how late it is."""

    def monotonic(self) -> float:
        self.advance(TICK)
        return super().monotonic()


class PowerCutError(Exception):
    pass


@dataclass
class Fuse:
    """Cuts the power at the `left`-th step: before a transaction, after it, or after a file was written."""

    left: int = 0

    def burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise PowerCutError


@dataclass
class CutUnits:
    units: Units
    fuse: Fuse

    async def __call__(self, use_case: Callable[[Work], Awaitable[Any]]) -> Any:
        self.fuse.burn()
        done = await self.units(use_case)
        self.fuse.burn()
        return done


class CutObjects(FileObjects):
    def __init__(self, root: Path, fuse: Fuse) -> None:
        super().__init__(FolderFiles(root))
        self._fuse = fuse

    async def put(self, data: bytes) -> bytes:
        digest = await super().put(data)
        self._fuse.burn()
        return digest


class NoConsent:
    """Nobody owns a simulated client."""

    def facts(self, twin: Any, usage: Any = None) -> Any:
        raise AssertionError((twin, usage))


def the_spec() -> RunSpec:
    spec = a_spec(masking="none", engine="stacked", model=model_spec("mlp", {"width": 4, "skip": 0}, TASK))
    local = replace(spec.local, batch=4, optimiser="sgd", lr=0.05, lr_end=0.05)
    return replace(spec, local=local, rounds=ROUNDS, cohort=CohortSpec(1, 1, PEOPLE, 100.0))


def a_source(folder: Path) -> Path:
    chance = np.random.default_rng(4)
    inputs = chance.normal(size=(8 * PEOPLE, 1, 3)).astype(np.float32)
    return write_shards(folder / "shards", inputs, inputs.sum(axis=(1, 2)), np.arange(PEOPLE + 1) * 8)


@asynccontextmanager
async def a_database(folder: Path) -> AsyncIterator[Database]:
    engine, clock, migrations = sqlite_engine(folder / "t.db"), Ticking(), migrations_of("training-orchestration")
    await upgrade(engine, migrations)
    async with Database(engine, "training", Stamp("didymos://test/t", clock, OrderedIds(clock)), migrations) as made:
        yield made


@dataclass
class Coordinator:
    """One process after the other over one folder."""

    folder: Path
    database: Database

    def world(self, fuse: Fuse | None = None, trainer: Any = None) -> World:
        fuse, clients = fuse or Fuse(), load_clients(self.folder / "shards", TASK)
        simulated = SimulatedClients(PEOPLE, PER_CHUNK, trainer or InlineTrainer(clients))
        return World(
            CutUnits(SqlUnits(self.database), fuse), {"simulated": simulated}, NoConsent(),
            CutObjects(self.folder / "files", fuse), TorchMathematics(None), Ticking(), HouseMeters(Metrics()),
        )  # fmt: skip

    async def drive(self, world: World) -> None:
        units, clock = SqlUnits(self.database), Ticking()
        epoch = await units(lambda work: work.runs.take_lease(RUN, "x", clock.now(), clock.now(), at_once=True))
        assert epoch is not None
        await drive_run(RUN, epoch, world)

    async def found(self) -> tuple[Run, list[str]]:
        """The run, and the parameters after each of its rounds, which are there once each and in order."""
        units = SqlUnits(self.database)
        run, rounds = await units(lambda work: work.runs.find(RUN)), await units(lambda work: work.rounds.of(RUN))
        assert run is not None
        assert [each.number for each in rounds] == list(range(1, len(rounds) + 1))
        assert all(each.state.value == "committed" and each.attempt == 1 and each.accepted for each in rounds)
        return run, [each.result.hex() for each in rounds]

    async def told(self, event: str) -> int:
        """How many events of this kind left, or wait to leave."""
        async with self.database.read() as connection:
            waiting = await outbox.oldest(connection, 10_000)
        return sum(each.record.headers["ce_type"].decode().endswith(event) for each in waiting)


@asynccontextmanager
async def a_coordinator(folder: Path) -> AsyncIterator[Coordinator]:
    """With a run that was started."""
    a_source(folder)
    async with a_database(folder) as database:
        clock = Ticking()
        terms = Terms("", BUYER.did, BUYER.did, Purpose("own"))
        run = Run(RUN, terms, the_spec(), "simulated", clock.now(), RunState.RUNNING)
        await SqlUnits(database)(lambda work: work.runs.add(run))
        yield Coordinator(folder, database)


def by_hand(folder: Path) -> list[str]:
    """The digests of the parameters after each round, by a loop and no coordinator."""
    spec, work = the_spec(), ChunkWork(load_clients(folder / "shards", TASK))
    params, found = initial_params(spec), []
    for number in range(1, ROUNDS + 1):
        sums = [work.train(spec, params, number, chunk) for chunk in chunks(PEOPLE, PER_CHUNK)]
        total = np.zeros(params.size)
        for one in sums:
            total += one.total
        params = (params.astype(np.float64) + total / sum(one.weight for one in sums)).astype(np.float32)
        found.append(sha256(flat_bytes(params)).hexdigest())
    return found


async def test_whatever_is_cut_off_is_computed_again_and_nothing_is_there_twice(tmp_path: Path) -> None:
    deaths = 0
    async with a_coordinator(tmp_path) as coordinator:
        for steps in range(9, 60):  # a term that ends sooner gets nowhere
            try:
                await coordinator.drive(coordinator.world(Fuse(steps)))
            except PowerCutError:
                deaths += 1
            else:
                break
        run, digests = await coordinator.found()
        assert (run.state, run.committed, run.bitwise) == (RunState.COMPLETED, ROUNDS, True)
        assert digests == by_hand(tmp_path)
        assert run.params.hex() == digests[-1]
        assert await coordinator.told("RoundClosed") == ROUNDS
        assert await coordinator.told("RunCompleted") == 1
    assert deaths > 3


async def test_a_group_is_one_transaction_and_few_files(tmp_path: Path) -> None:
    async with a_coordinator(tmp_path) as coordinator:
        await coordinator.drive(coordinator.world())
        run, digests = await coordinator.found()
        objects = FileObjects(FolderFiles(tmp_path / "files"))
        kept = [number for number, one in enumerate(digests, 1) if await objects.get(bytes.fromhex(one)) is not None]
    assert run.revision < 12  # of 60 rounds
    assert run.fingerprint.endswith("; stacked")
    assert (kept[0], kept[-1], len(kept) <= 1 + 3 * (KEPT + 1)) == (1, ROUNDS, True)  # three groups


async def test_a_run_that_is_paused_in_a_group_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    async with a_coordinator(tmp_path) as coordinator:
        units, world = SqlUnits(coordinator.database), coordinator.world()

        class Pausing(FileObjects):
            puts = 0

            async def put(self, data: bytes) -> bytes:
                self.puts += 1
                if self.puts == 5:  # parameters and specification, total and parameters of round 1; then a group
                    await units(lambda work: pause_run(RUN, BUYER.did, work))
                return await super().put(data)

        paused = replace(world, objects=Pausing(FolderFiles(tmp_path / "files")))
        with pytest.raises(Problem) as raised:
            await coordinator.drive(paused)
        assert raised.value.row.code == "training.run_state"
        stood, _ = await coordinator.found()
        assert (stood.state, stood.round < ROUNDS) == (RunState.PAUSED, True)
        await units(lambda work: resume_run(RUN, BUYER.did, work))
        await coordinator.drive(world)
        run, digests = await coordinator.found()
    assert (run.state, digests) == (RunState.COMPLETED, by_hand(tmp_path))


async def test_a_round_that_loses_a_chunk_goes_by_itself(tmp_path: Path) -> None:
    class Losing(InlineTrainer):
        deaths = 3

        async def train(self, spec: RunSpec, round_: int, chunk: Chunk, attempt: int) -> ChunkSum:
            if round_ == 7 and self.deaths:
                self.deaths -= 1
                raise ChunkLostError(chunk.name)
            return await super().train(spec, round_, chunk, attempt)

    async with a_coordinator(tmp_path) as coordinator:
        losing = Losing(load_clients(tmp_path / "shards", TASK))
        await coordinator.drive(coordinator.world(trainer=losing))
        run, digests = await coordinator.found()
        assert await coordinator.told("RoundOpened") == 2  # the first, and the one that lost a chunk
    assert (run.committed, digests, losing.deaths) == (ROUNDS, by_hand(tmp_path), 0)


@pytest.mark.slow
async def test_kill_9_before_and_after_a_commit_of_a_group_changes_no_bit(tmp_path: Path) -> None:
    async with a_coordinator(tmp_path) as coordinator:
        for fault in ("training.group_written:2", "training.group_committed:1"):
            process = await asyncio.create_subprocess_exec(
                sys.executable, __file__, str(tmp_path), env={**os.environ, VARIABLE: fault}
            )
            assert await process.wait() == -signal.SIGKILL
        stood, _ = await coordinator.found()
        assert 0 < stood.round < ROUNDS
        await coordinator.drive(coordinator.world())
        run, digests = await coordinator.found()
        assert await coordinator.told("RoundClosed") == ROUNDS
    assert (run.state, digests) == (RunState.COMPLETED, by_hand(tmp_path))


async def driven(folder: Path) -> None:
    async with a_database(folder) as database:
        coordinator = Coordinator(folder, database)
        await coordinator.drive(coordinator.world())


def main(arguments: Sequence[str]) -> None:
    asyncio.run(driven(Path(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
