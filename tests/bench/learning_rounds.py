"""`python -m tests.bench.learning_rounds [NAME ...]`: our rounds, the bare loop and Flower in turn, in one run."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from didymos_learning import Flat

from tests.bench.learning_bare import Bare
from tests.bench.learning_ours import Ours, ours
from tests.bench.learning_workloads import FOLDER, WORKLOADS, Workload, install
from tests.bench.measure import Measure, measure
from tests.bench.processes import Used, watched

ROUNDS, WARM, REPEATS = 5, 2, int(os.environ.get("REPEATS", "3"))
TINY_ROUNDS: Final = 240  # of the MLP, which take milliseconds each: several groups are committed
VENV: Final = Path("build/bench-flower/venv")
AGREED: Final = 2e-4


def flower_python() -> Path:
    """Flower in an environment of its own, made once; torch and the models are ours, so that both run one build."""
    python = VENV / "bin/python"
    ready = VENV / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        wanted = ["-m", "pip", "install", "-q", "--require-hashes", "-r", "requirements/bench.txt"]
        subprocess.run([str(python), *wanted], check=True)
        lib = next((VENV / "lib").glob("python*/site-packages"))
        own = next(path for path in sys.path if path.endswith("site-packages"))
        (lib / "zz_ours.pth").write_text(f"import site; site.addsitedir({own!r})\n")
        ready.touch()
    return python


def flower(load: Workload, folder: Path, rounds: int) -> tuple[list[float], list[float], Used]:
    out = FOLDER / f"flower-{load.name}.json"
    out.unlink(missing_ok=True)
    command = [str(flower_python()), "-m", "tests.bench.learning_flower", load.name, str(folder.resolve())]
    with (FOLDER / f"flower-{load.name}.log").open("w") as log:
        process = subprocess.Popen([*command, str(rounds), str(out.resolve())], stdout=log, stderr=subprocess.STDOUT)
        try:
            with watched(process.pid) as used:
                process.wait(timeout=200)
        finally:
            process.kill()
    said = json.loads(out.read_text())
    return said["taken"], said["third"], used


def _said(params: Flat) -> tuple[float, float]:
    wide = params.astype(np.float64)
    return float(wide.sum()), float(np.linalg.norm(wide))


async def compared(load: Workload) -> list[Measure]:
    folder, rounds = load.data(), TINY_ROUNDS if tiny(load) else ROUNDS
    seen: dict[str, list[float]] = {"ours": [], "bare": [], "flower": []}
    peaks, cpu = dict.fromkeys(seen, 0.0), dict.fromkeys(seen, 0.0)
    thirds: dict[str, tuple[float, float]] = {}
    with TemporaryDirectory() as place, Bare(load.name, folder) as bare:
        async with ours(Path(place), folder, load.chunk) as mine:
            thirds["ours"] = _said((await mine.run(load.spec(3))).params)
            for _ in range(REPEATS):
                await _ours(mine, load, rounds, seen, peaks, cpu)
                with watched(os.getpid()) as used:
                    taken, third = await asyncio.to_thread(bare.run, rounds)
                seen["bare"] += [statistics.fmean(taken[WARM:])] if tiny(load) else taken[WARM:]
                cpu["bare"] += used.cpu
                thirds["bare"] = _said(third)
                taken, stats, used = await asyncio.to_thread(flower, load, folder, ROUNDS)
                seen["flower"] += taken[WARM:]
                peaks["flower"] = max(peaks["flower"], used.peak_mb)
                thirds["flower"] = (stats[0], stats[1])
    return _lines(load, rounds, seen, peaks, cpu, thirds)


def tiny(load: Workload) -> bool:
    """Rounds of milliseconds, of which commits and the end of the run are a share that one sees: the mean tells."""
    return load.engine == "stacked"


async def _ours(mine: Ours, load: Workload, rounds: int, seen: dict[str, list[float]], peaks: dict[str, float],
                cpu: dict[str, float]) -> None:  # fmt: skip
    with watched(os.getpid()) as used:
        ran = await mine.run(load.spec(rounds))
    seen["ours"] += [ran.mean(WARM)] if tiny(load) else ran.seconds[WARM:]
    peaks["ours"] = max(peaks["ours"], used.peak_mb)
    cpu["ours"] += used.cpu


def _lines(load: Workload, rounds: int, seen: dict[str, list[float]], peaks: dict[str, float], cpu: dict[str, float],
           thirds: dict[str, tuple[float, float]]) -> list[Measure]:  # fmt: skip
    rate = {name: load.clients / statistics.median(taken) for name, taken in seen.items()}
    clients = load.clients * rounds * REPEATS
    size = load.spec(1).model.layout.size
    mine, title = rate["ours"], f"{load.name}, {size:,} floats, {load.clients} clients"
    off = max(
        abs(a - b) / max(1.0, abs(b))
        for name in ("bare", "flower")
        for a, b in zip(thirds["ours"], thirds[name], strict=True)
    )
    return [
        measure(title, mine, "clients/s", against=f"bare {rate['bare']:,.0f}", ratio=mine / rate["bare"], goal=0.95),
        measure(f"{load.name}, as many as Flower", mine, "clients/s", against=f"Flower {rate['flower']:,.1f}",
                ratio=mine / rate["flower"], goal=load.goal),
        measure(f"{load.name}, CPU", 1e3 * cpu["ours"] / clients, "ms/client",
                against=f"bare {1e3 * cpu['bare'] / clients:.3g}"),
        measure(f"{load.name}, peak of all processes", peaks["ours"], "MB", against=f"Flower {peaks['flower']:,.0f}"),
        measure(f"{load.name}, sum and l2 after round 3 differ", off, "", against=f"at most {AGREED:g}",
                ratio=AGREED / max(off, 1e-12), goal=1.0),
    ]  # fmt: skip


def run(names: Sequence[str] = tuple(WORKLOADS)) -> list[Measure]:
    install()
    FOLDER.mkdir(parents=True, exist_ok=True)
    return [line for name in names for line in asyncio.run(compared(WORKLOADS[name]))]


if __name__ == "__main__":
    from tests.bench.__main__ import table

    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(table(run(sys.argv[1:] or tuple(WORKLOADS))))
