"""The ports of identity, bound to one transaction."""

from didymos_contracts.topics import IDENTITY
from didymos_kit.database.unit_of_work import Transaction
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_identity.adapters.grants import SqlGrants
from didymos_identity.adapters.protobuf import addressed
from didymos_identity.adapters.twins import SqlDevices, SqlSubjects, SqlTokenKeys, SqlTwins
from didymos_identity.application.ports import Reads, Work
from didymos_identity.domain.events import Event


def sql_work(tx: Transaction) -> Work:
    def publish(event: Event) -> None:
        message, key, route = addressed(event)
        if message is None:
            tx.publish("didymos.identity.v1.TokenKeyPublished", None, IDENTITY.name, key, route)
        else:
            tx.publish_event(message, key, route)

    connection = tx.connection
    return Work(
        SqlTwins(connection), SqlDevices(connection), SqlGrants(connection), SqlSubjects(connection),
        SqlTokenKeys(connection), publish,
    )  # fmt: skip


def sql_reads(connection: AsyncConnection) -> Reads:
    return Reads(SqlTwins(connection), SqlGrants(connection))
