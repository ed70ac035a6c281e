"""Notes in the database."""

from didymos_did import TwinId
from didymos_kit.database.unit_of_work import Transaction
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_template_service.adapters.tables import NOTES
from didymos_template_service.application.ports import Work
from didymos_template_service.domain.note import Note


class SqlNotes:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, twin: TwinId) -> Note | None:
        row = (await self._connection.execute(select(NOTES).where(NOTES.c.twin == twin))).one_or_none()
        return None if row is None else Note(TwinId(row.twin), row.text, row.written_at)

    async def put(self, note: Note) -> None:
        await self._connection.execute(delete(NOTES).where(NOTES.c.twin == note.twin))
        row = {"twin": note.twin, "text": note.text, "written_at": note.written_at}
        await self._connection.execute(insert(NOTES).values(row))


def work_of(tx: Transaction) -> Work:
    """`Work` of one transaction."""
    return Work(SqlNotes(tx.connection))
