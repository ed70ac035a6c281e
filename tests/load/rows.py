"""Parcels of readings as rows of the store: what history shows is deduplicated, these are not."""

import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Final

from didymos_kit.database.engine import postgres_engine
from sqlalchemy import bindparam, text

ASKED: Final = "select twin, sum(readings), count(*) from {table} where twin in {twins} group by twin"
MOST: Final = 500  # twins of one query
Rows = dict[str, tuple[int, int]]


async def rows_of(store: str, twins: Collection[str]) -> Rows:
    """(readings, parcels) by twin. `store`: the URL of PostgreSQL, or the SQLite file of an embedded house."""
    every, found = sorted(twins), Rows()
    for first in range(0, len(every), MOST):
        part = every[first : first + MOST]
        found |= await _postgres(store, part) if store.startswith("postgres") else _sqlite(Path(store), part)
    return found


async def _postgres(url: str, twins: list[str]) -> Rows:
    engine = postgres_engine(url, "twin_state", pooled=False)
    query = text(ASKED.format(table="twin_state.reading_parcel", twins=":twins"))
    try:
        async with engine.connect() as connection:
            found = await connection.execute(query.bindparams(bindparam("twins", expanding=True)), {"twins": twins})
            return {str(twin): (int(readings), int(count)) for twin, readings, count in found}
    finally:
        await engine.dispose()


def _sqlite(path: Path, twins: list[str]) -> Rows:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        query = ASKED.format(table="reading_parcel", twins=f"({','.join('?' * len(twins))})")
        return {twin: (int(readings), int(count)) for twin, readings, count in connection.execute(query, twins)}
    finally:
        connection.close()
