"""One service as a process: `python -m didymos_identity`, with real Kafka, PostgreSQL and Redis."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from didymos_contracts.errors import Problem

from didymos_kit.errors import exit_code
from didymos_kit.house import House
from didymos_kit.house_settings import HouseSettings
from didymos_kit.lifecycle import Drain, Listen, Program
from didymos_kit.lifecycle import main as run
from didymos_kit.service import Service
from didymos_kit.settings import FILE, Settings, load
from didymos_kit.telemetry.metrics import Metrics

S = TypeVar("S", bound=Settings)


def main(
    name: str, settings_class: type[S], bootstrap: Callable[[S, House], AbstractAsyncContextManager[Service]]
) -> int:
    """What `__main__` returns to the system.

    A wrong or unknown setting ends it at once, with 2. What can come by itself is waited for, live and not ready: the
    files of secrets, Kafka, PostgreSQL and Redis, the schema and the topics. ADR 94.
    """

    def settings_of(environ: Mapping[str, str]) -> tuple[HouseSettings, S]:
        shared = load(HouseSettings, environ, beside=[settings_class])
        return shared, load(settings_class, environ, beside=[HouseSettings])

    try:
        shared, _ = settings_of({each: said for each, said in os.environ.items() if not each.endswith(FILE)})
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return exit_code(problem)
    shared.observe(name)

    @asynccontextmanager
    async def opening(metrics: Metrics) -> AsyncIterator[Program]:
        shared, settings = settings_of(os.environ)
        async with House.servers(shared, name, metrics) as house, bootstrap(settings, house) as service:
            yield Program((service,), house.access, metrics, checks=house.checks)

    listen = Listen(shared.host, shared.rest_port, shared.grpc_port, shared.admin_port)
    return run(opening, listen, Drain(shared.drain_seconds), patient=True)
