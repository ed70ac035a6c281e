"""`python -m didymos_site`: run a site, make its key, or show where it stands, what is booked, what it refused."""

import asyncio
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from didymos_contracts.errors import Problem
from didymos_kit import log
from didymos_kit.errors import exit_code
from didymos_kit.settings import load

from didymos_site.settings import SiteSettings

SHOWN: Final = ("status", "budget", "log")
_GIVEN: Final = ("folder", "coordinator", "identity", "origin", "coordinator_did", "organisations", "log_level")


def parser() -> ArgumentParser:
    made = ArgumentParser(prog="didymos_site", description="The owner's private data and local training.")
    made.add_argument("command", nargs="?", choices=("run", "enrol", *SHOWN), default="run")
    made.add_argument("--folder", help="where the data, the key and the state of this site lie")
    made.add_argument("--coordinator", help="host:port that is dialled")
    made.add_argument("--coordinator-did", help="whose orders are believed")
    made.add_argument("--identity", help="host:port of identity; where the coordinator is, if not given")
    made.add_argument("--origin", help="of the house: http://127.0.0.1:8080")
    made.add_argument("--organisation", dest="organisations", action="append", help="whose sites may be neighbours")
    made.add_argument("--log-level")
    return made


def settings_of(arguments: Namespace) -> SiteSettings:
    """The environment, and over it what the command line says. Raises PLATFORM_INVALID_SETTING, _UNKNOWN_SETTING."""
    given: dict[str, Any] = {name: getattr(arguments, name) for name in _GIVEN if getattr(arguments, name) is not None}
    if "organisations" in given:
        given["organisations"] = tuple(given["organisations"])
    return load(SiteSettings, **given)


@dataclass(frozen=True, slots=True)
class Commands:
    """What each command does."""

    run: Callable[[SiteSettings], Awaitable[None]]
    enrol: Callable[[SiteSettings], str]
    show: Callable[[str, SiteSettings], str]


def main(arguments: Sequence[str], commands: Commands) -> int:
    """What the process returns: 0 ended by a signal, 1 failed, 2 settings, 3 refused."""
    try:
        given = parser().parse_args(arguments)
        settings = settings_of(given)
        log.configure(level=settings.log_level)
        if given.command == "run":
            asyncio.run(until_signalled(commands.run(settings)))
        else:
            told = commands.enrol(settings) if given.command == "enrol" else commands.show(given.command, settings)
            sys.stdout.write(told + "\n")
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return exit_code(problem)
    return 0


async def until_signalled(work: Awaitable[None]) -> None:
    """Runs `work` until SIGTERM or SIGINT."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
