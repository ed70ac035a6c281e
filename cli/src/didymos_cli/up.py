"""`didymos up`: every service in one process. With `--servers`: the same process on Kafka, PostgreSQL and Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from didymos_kit.house import House, Where
from didymos_kit.house_settings import HouseSettings
from didymos_kit.keyring import KeyRing
from didymos_kit.lifecycle import AT_ONCE, Drain, Listen, Process, Program, main, running
from didymos_kit.service import Service
from didymos_kit.settings import Settings, load
from didymos_kit.telemetry.metrics import Metrics

from didymos_cli.card import DEFAULT, card_of, write_card

SERVICES: Final = (
    "identity", "ledger", "ingestion", "twin-state", "marketplace", "training-orchestration", "steward",
)  # fmt: skip
EMBEDDED_DRAIN: Final = Drain(endpoints_seconds=0.0)


@dataclass(frozen=True, slots=True)
class Room:
    """How a service is made: its settings and its bootstrap."""

    name: str
    settings: type[Settings]
    bootstrap: Callable[[Any, House], AbstractAsyncContextManager[Service]]


def rooms(names: Sequence[str] = SERVICES) -> tuple[Room, ...]:
    """The services by name. The one place that imports every bootstrap; raises ModuleNotFoundError."""
    return tuple(map(_room, names))


def _room(name: str) -> Room:
    package = f"didymos_{name.replace('-', '_')}"
    module = import_module(f"{package}.settings")
    (found,) = (cls for cls in vars(module).values() if isinstance(cls, type) and cls.__module__ == module.__name__
                and issubclass(cls, Settings))  # fmt: skip
    return Room(name, found, import_module(f"{package}.bootstrap").bootstrap)


@asynccontextmanager
async def program(
    house: House, given: Mapping[str, Mapping[str, Any]] | None = None, names: Sequence[str] = SERVICES
) -> AsyncIterator[Program]:
    """All services in `house`. `given`: settings by service that override the environment."""
    found = rooms(names)
    classes: list[type[Settings]] = [HouseSettings, *(room.settings for room in found)]
    async with AsyncExitStack() as stack:
        services = []
        for room in found:
            settings = load(room.settings, beside=classes, **(given or {}).get(room.name, {}))
            services.append(await stack.enter_async_context(room.bootstrap(settings, house)))
        yield Program(services, house.access, house.metrics, checks=house.checks)


@dataclass(frozen=True, slots=True)
class Running:
    """A house whose services answer."""

    house: House
    process: Process


@asynccontextmanager
async def running_in(
    opened: AbstractAsyncContextManager[House],
    *,
    given: Mapping[str, Mapping[str, Any]] | None = None,
    names: Sequence[str] = SERVICES,
) -> AsyncIterator[Running]:
    """Services in a house that is about to open, embedded or on servers, answering where it says."""
    async with opened as house, program(house, given, names) as made:
        listen = Listen(rest=_port(house.origin), grpc=_port(house.where.rpc), admin=0)
        async with running(made, listen, AT_ONCE) as process:
            yield Running(house, process)


def running_house(
    folder: Path,
    where: Where,
    *,
    keys: KeyRing | None = None,
    given: Mapping[str, Mapping[str, Any]] | None = None,
    names: Sequence[str] = SERVICES,
) -> AbstractAsyncContextManager[Running]:
    """The embedded house in `folder`, answering at `where`; drained at the end of the block."""
    return running_in(House.embedded(folder, where, keys=keys), given=given, names=names)


def up(folder: Path, listen: Listen, *, servers: bool) -> int:
    """Run until a signal; the exit code. The card of the house lies in `folder` once it answers.

    With servers the addresses are those of the settings, else those of `listen`. Raises the problem of a setting.
    """
    settings = load(HouseSettings, beside=[room.settings for room in rooms()])
    settings.observe("didymos")
    if servers:
        listen = Listen(settings.host, settings.rest_port, settings.grpc_port, settings.admin_port)

    @asynccontextmanager
    async def opening(metrics: Metrics) -> AsyncIterator[Program]:
        opened = House.servers(settings, "didymos", metrics) if servers else _embedded(folder, listen, metrics)
        async with opened as house, program(house) as made:
            await asyncio.to_thread(write_card, folder / DEFAULT.name, card_of(house))
            yield made

    return main(opening, listen, Drain(settings.drain_seconds) if servers else EMBEDDED_DRAIN, patient=servers)


def _embedded(folder: Path, listen: Listen, metrics: Metrics) -> AbstractAsyncContextManager[House]:
    where = Where(f"http://{listen.host}:{listen.rest}", f"{listen.host}:{listen.grpc}")
    return House.embedded(folder, where, metrics=metrics)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
