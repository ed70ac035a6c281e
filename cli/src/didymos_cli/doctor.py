"""`didymos doctor`: what this machine lacks, each finding with its fix. `didymos settings`: what is in force."""

import importlib.util
import json
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from didymos_kit.house_settings import HouseSettings
from didymos_kit.settings import Settings, load, shown

from didymos_cli.up import SERVICES, rooms

PYTHON: Final = "3.11"
PORTS: Final = (8080, 50051, 8081)
DISK_BYTES: Final = 2_000_000_000
MEMORY_KIB: Final = 4_000_000
MODULES: Final = ("torch", "ray", "aiokafka", "asyncpg", "fakeredis")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and what to do about it."""

    what: str
    fix: str


def findings() -> list[Finding]:
    return [found for check in CHECKS for found in check()]


def _python() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:2]))
    if found != PYTHON:
        yield Finding(f"Python {found}", f"make setup with PYTHON=python{PYTHON}")


def _packages() -> Iterator[Finding]:
    wanted = (*(f"didymos_{name.replace('-', '_')}" for name in SERVICES), "didymos_site", *MODULES)
    for name in wanted:
        if importlib.util.find_spec(name) is None:
            yield Finding(f"{name} is not installed", "make setup")


def _ports() -> Iterator[Finding]:
    for port in PORTS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                yield Finding(
                    f"something listens on port {port}", "stop it, or `didymos up --port --grpc-port --admin-port`"
                )


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free
    if free < DISK_BYTES:
        yield Finding(f"{free // 1_000_000} MB of disk are free", "free 2 GB, or run where there is room")


def _memory() -> Iterator[Finding]:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return
    free = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), MEMORY_KIB)
    if free < MEMORY_KIB:
        yield Finding(
            f"{free // 1024} MB of memory are free", "`didymos demo` wants 4 GB; `didymos up` is content with less"
        )


CHECKS: Final[tuple[Callable[[], Iterator[Finding]], ...]] = (_python, _packages, _ports, _disk, _memory)


def tell(*, as_json: bool) -> int:
    """0 if nothing was found, else 1."""
    found = findings()
    if as_json:
        sys.stdout.write(json.dumps({"findings": [asdict(one) for one in found]}) + "\n")
    else:
        lines = [f"{one.what}: {one.fix}" for one in found] or ["nothing to mend"]
        sys.stdout.write("\n".join(lines) + "\n")
    return 1 if found else 0


def show_settings(*, as_json: bool) -> int:
    """Every setting with the value in force, secrets as `***`. Raises PLATFORM_UNKNOWN_SETTING, _INVALID_SETTING."""
    classes: list[type[Settings]] = [HouseSettings, *(room.settings for room in rooms())]
    values: dict[str, str] = {}
    for cls in classes:
        values.update(shown(load(cls, beside=classes)))
    if as_json:
        sys.stdout.write(json.dumps(values, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{name}={value}\n" for name, value in values.items())
    return 0
