"""The ports of a use case, bound to one transaction."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from didymos_kit.database.engine import Database
from didymos_kit.database.unit_of_work import Transaction

from didymos_training_orchestration.adapters.book import SqlBook
from didymos_training_orchestration.adapters.protobuf import printed
from didymos_training_orchestration.adapters.registry import SqlRegistry
from didymos_training_orchestration.adapters.stores import SqlRounds, SqlRuns
from didymos_training_orchestration.application.events import Event
from didymos_training_orchestration.application.ports import Work

Value = TypeVar("Value")


def sql_work(tx: Transaction) -> Work:
    def publish(event: Event) -> None:
        message, key = printed(event)
        tx.publish_event(message, key=key)

    connection = tx.connection
    return Work(SqlRuns(connection), SqlRounds(connection), SqlBook(connection), SqlRegistry(connection), publish)


class SqlUnits:
    """Fills `Units`: the driver does not wait for the place of its events in the log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, use_case: Callable[[Work], Awaitable[Value]]) -> Value:
        async with self._database.unit_of_work() as tx:
            return await use_case(sql_work(tx))
