"""What the stores of identity share: inserting what is not there, replacing what is."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection


async def upsert(connection: AsyncConnection, table: Table, row: Mapping[str, Any]) -> None:
    """The row under its key, whether one was there or not. Its writer holds the lock of whatever it depends on."""
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    keys = list(table.primary_key.columns)
    names = {column.name for column in keys}
    changes = {name: value for name, value in row.items() if name not in names}
    statement = insert(table).values(**row).on_conflict_do_update(index_elements=keys, set_=changes)
    await connection.execute(statement)
