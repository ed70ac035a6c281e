"""Migrations of a service, run to head by one process at a time. Forward only: expand, then contract. platform.md 6.

They lie in the package itself, `didymos_<service>/migrations/versions/*.py`, so a wheel has them too (ADR 14); the
environment around them is kit's. One linear tree serves both dialects.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

_ENVIRONMENT: Final = Path(__file__).with_name("alembic_env")


class NoMigrationsError(LookupError):
    """The service has no package, or no `migrations/versions` in it."""


@dataclass(frozen=True)
class Migrations:
    """The migrations in one folder of versions. `migrations_of("identity")` finds those of a service."""

    versions: Path

    @cached_property
    def script(self) -> ScriptDirectory:
        return ScriptDirectory.from_config(self.config())

    @property
    def head(self) -> str | None:
        """The newest revision. Raises alembic's CommandError when the tree has two."""
        return self.script.get_current_head()

    def config(self, connection: Connection | None = None) -> Config:
        config = Config()
        config.set_main_option("script_location", _escaped(_ENVIRONMENT))
        config.set_main_option("version_locations", _escaped(self.versions))
        config.set_main_option("path_separator", "newline")
        config.attributes["connection"] = connection
        return config

    def at_head(self, connection: Connection) -> bool:
        """Whether the schema is at head, or ahead of this program: a newer release ran its own migrations."""
        current = self.revision(connection)
        if current is None or self.head is None:
            return current == self.head
        known = {revision.revision for revision in self.script.walk_revisions()}
        return current == self.head or current not in known

    def revision(self, connection: Connection) -> str | None:
        """What the schema is at; None before the first."""
        return MigrationContext.configure(connection).get_current_revision()

    def upgrade(self, connection: Connection) -> None:
        if not self.at_head(connection):
            connection.rollback()  # the question opened a transaction; alembic wants to open its own
            command.upgrade(self.config(connection), "head")


def databases_of(service: str) -> tuple[str, ...]:
    """Names of its databases: `identity`, `identity.vault`. Empty when the service is not installed, or has none."""
    found = find_spec(f"didymos_{service.replace('-', '_')}")
    names: list[str] = []
    for location in (found.submodule_search_locations or ()) if found is not None else ():
        folder = Path(location) / "migrations"
        names += [service] if (folder / "versions").is_dir() else []
        names += [f"{service}.{versions.parent.name}" for versions in sorted(folder.glob("*/versions"))]
    return tuple(names)


def schema_of(name: str) -> str:
    """The schema of a database in PostgreSQL: `identity_vault`."""
    return name.replace("-", "_").replace(".", "_")


def migrations_of(name: str) -> Migrations:
    """Those of service `name`; `identity.vault` is a second database of identity, in `migrations/vault/versions`.

    Works for a package that is installed editable, or from a wheel. Raises NoMigrationsError.
    """
    service, _, part = name.partition(".")
    package = f"didymos_{service.replace('-', '_')}"
    found = find_spec(package)
    for location in (found.submodule_search_locations or ()) if found is not None else ():
        versions = Path(location) / "migrations" / part / "versions"
        if versions.is_dir():
            return Migrations(versions)
    raise NoMigrationsError(f"{package} has no migrations/{part + '/' if part else ''}versions")


async def upgrade(engine: AsyncEngine, migrations: Migrations, schema: str | None = None) -> None:
    """Bring the database to head; a second process that comes at the same time waits, then finds nothing to do.

    `schema`: made if it is missing, PostgreSQL only. SQLite: all steps are one transaction. PostgreSQL: each step is
    one, so a step may leave it by `autocommit_block()`, and locks wait at most 5 s.
    """
    if engine.dialect.name == "sqlite":
        async with engine.begin() as connection:
            await connection.run_sync(lambda opened: command.upgrade(migrations.config(opened), "head"))
        return
    async with _advisory_lock(engine, schema or ""), engine.connect() as connection:
        if schema is not None:
            await connection.execute(text(f'create schema if not exists "{schema}"'))
            await connection.commit()
        await connection.run_sync(migrations.upgrade)
        await connection.commit()


@asynccontextmanager
async def _advisory_lock(engine: AsyncEngine, name: str) -> AsyncIterator[None]:
    """Held by a session of its own, so that the steps may commit."""
    number = int.from_bytes(sha256(b"didymos migrations " + name.encode()).digest()[:8], "big", signed=True)
    async with engine.connect() as connection:
        await connection.execute(text("set lock_timeout = 0"))
        await connection.execute(text("select pg_advisory_lock(:number)"), {"number": number})
        try:
            yield
        finally:
            await connection.execute(text("select pg_advisory_unlock(:number)"), {"number": number})


def _escaped(path: Path) -> str:
    """configparser reads % as the start of a name."""
    return str(path).replace("%", "%%")
