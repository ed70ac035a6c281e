"""Growth: what a reading costs to apply when a store knows 1 k, 10 k, 100 k twins, in 1 and in 4 partitions.

`python -m tests.bench.data_path_growth [TWINS ...]`, each 400 or more. All twins are there before anything is timed.
Microseconds of CPU a reading, checkpoints included: D, batches of 100 of a twin drawn from all; G, of 100 such twins.
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsAccepted
from didymos_did import Did, TwinId
from didymos_kit.clock import SystemClock
from didymos_readings import Column, DeviceStream
from didymos_testing.twin_world import sealed_parcels
from didymos_twin_state.adapters.announcer import LogAnnouncements
from didymos_twin_state.adapters.history import SqlHistory
from didymos_twin_state.adapters.hot import HotStore
from didymos_twin_state.adapters.readings import names_of, open_record
from didymos_twin_state.application.apply_batch import Partition

from tests.bench.__main__ import table
from tests.bench.apply import BUILD, DEVICE, OPERATOR, Bench, _Nowhere, a_bench
from tests.bench.measure import Measure, measure

TWINS: Final = (1_000, 10_000, 100_000)
PARTITIONS: Final = (1, 4)
GATEWAY: Final = 100
SLICE: Final = 5  # batches of a flush: at most 500 dirty twins
SAVED: Final = 50  # batches between checkpoints
TIMED: Final = 40  # batches of a run
ROUNDS: Final = 3


class Growing:
    """Twins over some partitions, and one device that speaks for all of them."""

    def __init__(self, bench: Bench, partitions: int) -> None:
        self._bench, self._partitions = bench, [self._made(bench, part) for part in range(partitions)]
        self._offsets = [0] * partitions
        self._stream = DeviceStream(DEVICE, OPERATOR.did, "generic@1")
        self._now_us = self._at_us = time.time_ns() // 1000
        self._at_us -= 86_400_000_000

    @staticmethod
    def _made(bench: Bench, part: int) -> Partition:
        news = LogAnnouncements(_Nowhere(), bench.seals, SystemClock(), "didymos://bench/twin-state")
        return Partition(part, HotStore(bench.hot), SqlHistory(bench.database), bench.seals, news)

    async def claim(self) -> None:
        for partition in self._partitions:
            await partition.claim("bench")

    def record(self, twins: Sequence[TwinId], blocks: int, readings: int) -> ReadingsAccepted:
        self._at_us += 100_000
        t_us = self._at_us + np.arange(readings, dtype=np.int64) * 1000
        columns = [
            Column(twin, f"pump/flow{block}", "L/min", t_us, np.full(readings, 100.0 + block))
            for twin in twins
            for block in range(blocks)
        ]
        return sealed_parcels(
            self._stream.batch(columns, self._now_us), DEVICE, OPERATOR.did, self._now_us, "generic@1"
        )

    async def apply(self, part: int, records: Sequence[ReadingsAccepted], *, saved: bool) -> None:
        partition = self._partitions[part]
        await self._bench.seals.warm(name for said in records for name in names_of(said))
        await partition.readings(
            [await open_record(self._offsets[part] + at, said, self._bench.seals) for at, said in enumerate(records)]
        )
        self._offsets[part] += len(records)
        await partition.flush()
        if saved:
            await partition.checkpoint()


def twin(number: int) -> TwinId:
    return TwinId(Did(f"did:key:z6MkGrowth{number}"))


async def costs(growing: Growing, twins: int, partitions: int) -> tuple[float, float]:
    """Microseconds of CPU a reading of D and of G. A twin lives in the partition of its number."""
    each = twins // partitions

    def of(part: int, numbers: Sequence[int]) -> list[TwinId]:
        return [twin(part * each + number) for number in numbers]

    for part in range(partitions):
        batches = [range(first, min(each, first + GATEWAY)) for first in range(0, each, GATEWAY)]
        for first in range(0, len(batches), SLICE):
            records = [growing.record(of(part, batch), 1, 1) for batch in batches[first : first + SLICE]]
            await growing.apply(part, records, saved=not first % SAVED or first + SLICE >= len(batches))
    draw = random.Random(7)
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for kind, taken in zip("DG", found, strict=True):
            records = [
                growing.record(of(at % partitions, [draw.randrange(each)]), 5, 20)
                if kind == "D"
                else growing.record(of(at % partitions, draw.sample(range(each), GATEWAY)), 1, 1)
                for at in range(TIMED)
            ]
            begun = time.process_time()
            for part in range(partitions):
                mine = records[part::partitions]
                for first in range(0, len(mine), SLICE):
                    await growing.apply(part, mine[first : first + SLICE], saved=first + SLICE >= len(mine))
            taken.append((time.process_time() - begun) * 1e6 / (TIMED * GATEWAY))
    return median(found[0]), median(found[1])


async def lines(sizes: Sequence[int]) -> list[Measure]:
    found: list[Measure] = []
    least: dict[str, float] = {}
    BUILD.mkdir(exist_ok=True)
    for partitions in PARTITIONS:
        for twins in sizes:
            with tempfile.TemporaryDirectory(dir=BUILD) as folder:
                async with a_bench(Path(folder)) as bench:
                    growing = Growing(bench, partitions)
                    await growing.claim()
                    taken = await costs(growing, twins, partitions)
            for kind, cost in zip("DG", taken, strict=True):
                first = least.setdefault(kind, cost)
                name = f"apply {kind}, {twins:,} twins in {partitions} partition{'s' * (partitions > 1)}"
                said = f"{sizes[0]:,} in {PARTITIONS[0]}: {first:.2f}"
                found.append(measure(name, cost, "us/reading", against=said, ratio=cost / first))
                print(f"{name}: {cost:.2f} us/reading", file=sys.stderr, flush=True)
    return found


def run() -> list[Measure]:
    return asyncio.run(lines(TWINS))


def main() -> int:
    found = asyncio.run(lines([int(each) for each in sys.argv[1:]] or TWINS))
    folder = BUILD / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "growth.json").write_text(json.dumps([line.row() for line in found], indent=1) + "\n")
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
