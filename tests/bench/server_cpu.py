"""CPU seconds of the real servers that `tools/servers.py` started, with children: PostgreSQL has one a connection."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tools.servers import STARTERS, state, variable

TICKS: Final = os.sysconf("SC_CLK_TCK")
PROCESSES: Final = Path("/proc")


def started() -> dict[str, int]:
    """Process ids by name, of those servers that `DIDYMOS_<NAME>_URL` points at. A server elsewhere has none here."""
    with state() as servers:
        return {name: servers[name].pid for name in STARTERS
                if name in servers and os.environ.get(variable(name)) == servers[name].url}  # fmt: skip


def cpu_seconds(servers: Mapping[str, int]) -> dict[str, float]:
    """Of each server so far: its own, its living children's, and what it collected of those that ended."""
    parents, spent = dict[int, int](), dict[int, int]()
    for entry in PROCESSES.iterdir():
        if entry.name.isdigit():
            try:
                said = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended just now
                continue
            parents[int(entry.name)], spent[int(entry.name)] = int(said[1]), sum(map(int, said[11:15]))
    return {
        name: sum(ticks for pid, ticks in spent.items() if pid == server or parents[pid] == server) / TICKS
        for name, server in servers.items()
    }
