"""What runs once and ends: schemas to head, topics made, secrets made. `python -m didymos_kit.jobs`, `didymos migrate`.

Exit codes: 0 done, 1 failed, 2 usage or a bad setting, 3 refused, 4 a back end is away.
"""

import argparse
import asyncio
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Final, TypeVar

from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_contracts.metrics import SERVICES
from didymos_contracts.topics import TOPICS

from didymos_kit.database.engine import is_away, postgres_engine
from didymos_kit.database.migrate import databases_of, migrations_of, schema_of, upgrade
from didymos_kit.errors import exit_code, log_mistake, problem_of
from didymos_kit.eventlog.kafka import KafkaLog
from didymos_kit.house_settings import HouseSettings
from didymos_kit.keyring import ROOT_BYTES
from didymos_kit.kubernetes import make_secret
from didymos_kit.lifecycle import backoff
from didymos_kit.settings import load

T = TypeVar("T")
ROOT_KEY: Final = "secret"


async def migrate(settings: HouseSettings, names: Sequence[str] = (), wait_seconds: float = 0.0) -> None:
    """Bring the databases of these services, or of all that are installed, to head. One that is ahead stays so."""
    for name in _databases(names):
        said = await _within(wait_seconds, lambda name=name: _upgraded(settings, name))  # type: ignore[misc]
        print(f"{name}: {said}", flush=True)


async def topics(settings: HouseSettings, wait_seconds: float = 0.0) -> None:
    """Make the topics of the catalogue that are missing. Raises `platform.topic_mismatch`."""

    async def ensured() -> None:
        async with KafkaLog(settings.kafka_url, client="topics", replicas=settings.kafka_replicas) as event_log:
            await event_log.ensure(TOPICS)

    await _within(wait_seconds, ensured)
    print(f"topics: {len(TOPICS)} there", flush=True)


def secret_file(path: Path) -> bool:
    """A root secret in hexadecimal, 0600. False if there was a file: it stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(opened, "w") as file:
        file.write(secrets.token_hex(ROOT_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return True


def _databases(names: Sequence[str]) -> Iterator[str]:
    for service in names or SERVICES:
        yield from databases_of(service)


async def _upgraded(settings: HouseSettings, name: str) -> str:
    """What was done, in a few words. Raises PLATFORM_UNAVAILABLE, and what a step raises."""
    migrations, schema = migrations_of(name), schema_of(name)
    engine = postgres_engine(settings.postgres(), schema, pooled=False)
    try:
        async with engine.connect() as connection:
            before = await connection.run_sync(migrations.revision)
        await upgrade(engine, migrations, schema)
        async with engine.connect() as connection:
            after = await connection.run_sync(migrations.revision)
    except Exception as error:
        if is_away(error):
            raise PLATFORM_UNAVAILABLE.problem(dependency="database") from error
        raise
    finally:
        await engine.dispose()
    if before != after:
        return f"from {before or 'nothing'} to {after}"
    return f"at head, {after}" if after == migrations.head else f"ahead of this release at {after}, left as it is"


async def _within(seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    """Its result, tried again for so long while a back end is away."""
    until, failures = monotonic() + seconds, 0
    while True:
        try:
            return await work()
        except Problem as problem:
            if problem.row.retry != "later" or monotonic() >= until:
                raise
            failures += 1
            sys.stderr.write(f"{problem}; trying again\n")
        except OSError as error:
            if monotonic() >= until:
                raise PLATFORM_UNAVAILABLE.problem(detail=type(error).__name__) from error
            failures += 1
            sys.stderr.write(f"{type(error).__name__}; trying again\n")
        await asyncio.sleep(min(backoff(failures), max(0.0, until - monotonic())))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m didymos_kit.jobs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    waits = argparse.ArgumentParser(add_help=False)
    waits.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="how long a back end may be away")
    schemas = commands.add_parser("migrate", parents=[waits], help="bring schemas to head")
    schemas.add_argument("services", nargs="*", choices=[*SERVICES, []], help="else all that are installed")
    commands.add_parser("topics", parents=[waits], help="make the topics of the catalogue")
    made = commands.add_parser("secret", help="make a root secret: printed, or where it is told to be kept")
    made.add_argument("--file", type=Path, help="keep it there, unless there is one")
    made.add_argument(
        "--kubernetes", metavar="NAME", help="keep it in this Secret of our namespace, unless there is one"
    )
    made.add_argument("--key", action="append", default=[], metavar="KEY=BYTES",
                      help=f"random, in hexadecimal; {ROOT_KEY}={ROOT_BYTES} if not given")  # fmt: skip
    return parser


def _sizes(said: Sequence[str]) -> dict[str, int]:
    """Raises ValueError."""
    sizes = {key: int(count) for key, _, count in (each.partition("=") for each in said)}
    return sizes or {ROOT_KEY: ROOT_BYTES}


def make_secrets(file: Path | None, kubernetes: str | None, keys: Sequence[str]) -> None:
    """What the command `secret` does."""
    if file is not None:
        print(f"{file}: {'made' if secret_file(file) else 'is there, left as it is'}")
    elif kubernetes is not None:
        made = make_secret(kubernetes, _sizes(keys))
        print(f"Secret {kubernetes}: {'made' if made else 'is there, left as it is'}")
    else:
        print(secrets.token_hex(ROOT_BYTES))


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _arguments().parse_args(arguments)
    try:
        if asked.command == "secret":
            make_secrets(asked.file, asked.kubernetes, asked.key)
            return 0
        settings = load(HouseSettings)
        settings.observe("jobs")
        work = (
            migrate(settings, asked.services, asked.wait)
            if asked.command == "migrate"
            else topics(settings, asked.wait)
        )
        asyncio.run(work)
    except (Problem, OSError, ValueError) as error:
        problem = problem_of(error)
        sys.stderr.write(f"{problem}\n")
        return 2 if isinstance(error, ValueError) else exit_code(problem)
    except Exception as error:
        log_mistake(error)
        sys.stderr.write(f"failed: {type(error).__name__}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
