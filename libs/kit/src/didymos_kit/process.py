"""One service as a process: `python -m didymos_identity`, with real Kafka, PostgreSQL and Redis."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from didymos_contracts.errors import Problem

from didymos_kit.errors import exit_code
from didymos_kit.house import House
from didymos_kit.house_settings import HouseSettings
from didymos_kit.lifecycle import Listen, Program
from didymos_kit.lifecycle import main as run
from didymos_kit.service import Service
from didymos_kit.settings import Settings, load
from didymos_kit.telemetry.metrics import Metrics

S = TypeVar("S", bound=Settings)


def main(
    name: str, settings_class: type[S], bootstrap: Callable[[S, House], AbstractAsyncContextManager[Service]]
) -> int:
    """What `__main__` returns to the system."""
    try:
        shared = load(HouseSettings, beside=[settings_class])
        settings = load(settings_class, beside=[HouseSettings])
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return exit_code(problem)
    shared.observe(name)

    @asynccontextmanager
    async def opening(metrics: Metrics) -> AsyncIterator[Program]:
        async with House.servers(shared, name, metrics) as house, bootstrap(settings, house) as service:
            yield Program((service,), house.access, metrics)

    listen = Listen(shared.host, shared.rest_port, shared.grpc_port, shared.admin_port)
    return run(opening, listen)
