"""Many rows in one statement: PostgreSQL takes an array a column and unnests them, SQLite takes row after row."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, Final, TypeAlias

from sqlalchemy import Table, TextClause, delete, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

Rows: TypeAlias = Sequence[Sequence[Any]]
_POSTGRES: Final = postgresql.dialect()  # type: ignore[no-untyped-call] # of the library


async def insert_rows(
    connection: AsyncConnection, table: Table, columns: tuple[str, ...], rows: Rows, *, replace: bool = False,
    widest: str = "",
) -> None:  # fmt: skip
    """`rows`: of each the values of `columns`.

    `replace`: rows with the same primary key, which comes once; of the column `widest` the greater value stays.
    """
    if not rows:
        return
    sqlite = connection.dialect.name == "sqlite"
    statement = _statement(table, columns, sqlite, replace, widest)
    if sqlite:
        await connection.execute(statement, [dict(zip(columns, row, strict=True)) for row in rows])
    else:
        await connection.execute(statement, dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))


async def delete_rows(connection: AsyncConnection, table: Table, column: str, values: Collection[str]) -> None:
    """Those whose `column` is one of `values`."""
    if not values:
        return
    if connection.dialect.name == "sqlite":
        await connection.execute(delete(table).where(table.c[column].in_(list(values))))
    else:
        said = f"delete from {table.name} where {column} = any(cast(:values as text[]))"  # noqa: S608 - names of ours
        await connection.execute(text(said), {"values": list(values)})


@cache
def _statement(table: Table, columns: tuple[str, ...], sqlite: bool, replace: bool, widest: str) -> TextClause:  # noqa: FBT001
    head = f"insert into {table.name} ({', '.join(columns)}) "
    if sqlite:
        source = f"values ({', '.join(f':{name}' for name in columns)})"
    else:
        types = {name: table.c[name].type.compile(_POSTGRES) for name in columns}
        arrays = [f"cast(:{name} as {types[name]}[])" for name in columns]
        source = f"select * from unnest({', '.join(arrays)})"  # noqa: S608 - names of ours
    if not replace:
        return text(head + source)
    keys = [column.name for column in table.primary_key.columns]
    kept = {name: f"excluded.{name}" for name in columns if name not in keys}
    if widest:
        greater = "max" if sqlite else "greatest"
        kept[widest] = f"{greater}({table.name}.{widest}, excluded.{widest})"
    changes = ", ".join(f"{name} = {value}" for name, value in kept.items())
    return text(f"{head}{source} on conflict ({', '.join(keys)}) do update set {changes}")
