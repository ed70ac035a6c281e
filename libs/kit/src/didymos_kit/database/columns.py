"""Column types that mean the same in SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import Any

from didymos_kit.clock import from_us, to_us
from sqlalchemy import BigInteger, Column, DateTime, Dialect, Identity, Integer
from sqlalchemy.types import TypeDecorator, TypeEngine


class Instant(TypeDecorator[datetime]):
    """An aware instant, given back in UTC: `timestamptz` in PostgreSQL, microseconds since 1970 in SQLite."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        precise: TypeEngine[Any] = BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(precise)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ANN401 - what the driver takes
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError("an instant has a zone")
        return to_us(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401 - what the driver gives
        if value is None:
            return None
        return from_us(value) if dialect.name == "sqlite" else value.astimezone(UTC)


def identity_column(name: str = "id") -> Column[int]:
    """A primary key that only grows: a number is never given twice, also after its row was deleted.

    In SQLite that takes `sqlite_autoincrement=True` on the table.
    """
    return Column(name, BigInteger().with_variant(Integer(), "sqlite"), Identity(always=True), primary_key=True)
