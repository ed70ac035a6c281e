"""Memory of the demo: the peak over time of the sum of PSS over this process and all that it started."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from os import getpid
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
SECONDS: Final = 1.0


@dataclass
class Peak:
    """`mb`: the largest sum seen, in units of 10^6 bytes; 0 where the system has no /proc."""

    mb: float = 0.0


def pss_bytes() -> int:
    """PSS of this process and its descendants: a shared page counts once, divided among those that share it."""
    parents = {}
    for path in PROC.glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        parents[int(path.parent.name)] = int(fields[1])
    return sum(_pss(pid) for pid in parents if _descends(pid, getpid(), parents))


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid and pid != ancestor:
        pid = parents.get(pid, 0)
    return pid == ancestor


def _pss(pid: int) -> int:
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


@asynccontextmanager
async def watched() -> AsyncIterator[Peak]:
    """Look once a second, beside the event loop, and once at the end."""
    peak, ended = Peak(), asyncio.Event()

    async def watch() -> None:
        while not ended.is_set():
            peak.mb = max(peak.mb, await asyncio.to_thread(pss_bytes) / 1e6)
            try:
                async with asyncio.timeout(SECONDS):
                    await ended.wait()
            except TimeoutError:
                continue

    task = asyncio.create_task(watch(), name="memory")
    try:
        yield peak
    finally:
        ended.set()
        await task
