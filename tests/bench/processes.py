"""CPU seconds and memory of a process and all that descend from it, from /proc."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


def _table() -> dict[int, list[str]]:
    """Fields of /proc/PID/stat from the state on."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
    return found


def family(root: int) -> dict[int, list[str]]:
    """The process `root` and its descendants."""
    table, kin = _table(), {root}
    while more := {pid for pid, row in table.items() if int(row[1]) in kin and pid not in kin}:
        kin |= more
    return {pid: table[pid] for pid in kin if pid in table}


def cpu_seconds(root: int) -> float:
    """Of the living and of those that they waited for."""
    return sum(sum(map(int, row[11:15])) for row in family(root).values()) / _TICKS


def resident_mb(root: int) -> float:
    """Resident pages, those that processes share counted in each of them."""
    return sum(int(row[21]) for row in family(root).values()) * _PAGE / 1e6


@dataclass
class Used:
    cpu: float = 0.0
    peak_mb: float = 0.0


@contextmanager
def watched(root: int, every: float = 0.5) -> Iterator[Used]:
    """What the family used inside the block."""
    used, over, begun = Used(), Event(), cpu_seconds(root)

    def look() -> None:
        while not over.wait(every):
            used.peak_mb = max(used.peak_mb, resident_mb(root))

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield used
    finally:
        over.set()
        thread.join()
        used.cpu = cpu_seconds(root) - begun
        used.peak_mb = max(used.peak_mb, resident_mb(root))
