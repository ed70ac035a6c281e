"""Search over what stands in clear, in SQLite or PostgreSQL: nothing but indexes of plain columns."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from didymos_kit.database.engine import Database
from sqlalchemy import and_, between, exists, or_, select

from didymos_twin_state.adapters.tables import ATTRIBUTES, RELATIONS, TWINS
from didymos_twin_state.application.search_ports import Edge, Found, Wanted
from didymos_twin_state.domain.geo import Place
from didymos_twin_state.domain.search import Filter, Op
from didymos_twin_state.domain.twin import Lifecycle

NAMED: Final = 500  # twins of one statement
_OPERATORS: Final[Mapping[Op, Callable[[Any, Any], Any]]] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
}  # fmt: skip


class SqlSearch:
    """`TwinSearch` on kit's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, wanted: Wanted, after: str, limit: int) -> Sequence[Found]:
        query = select(TWINS).where(TWINS.c.id > after, TWINS.c.lifecycle.not_in((0, int(Lifecycle.ERASED))))
        if wanted.owner:
            query = query.where(TWINS.c.owner == wanted.owner)
        if wanted.kind:  # `@` and what follows it in ASCII: all versions of one name
            query = query.where(TWINS.c.profile >= f"{wanted.kind}@", TWINS.c.profile < f"{wanted.kind}A")
        if wanted.cells is not None:
            query = query.where(or_(*(between(TWINS.c.cell, low, high) for low, high in wanted.cells)))
        for each in wanted.filters:
            query = query.where(_fits(each))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(TWINS.c.id).limit(limit))).all()
        return [
            Found(
                row.id, row.owner, row.profile, row.lifecycle, row.revision, row.place,
                None if row.lon is None else Place(row.lon, row.lat),
            )
            for row in rows
        ]  # fmt: skip

    async def edges_from(self, twins: Sequence[str]) -> Sequence[Edge]:
        return await self._edges(RELATIONS.c.source, twins, accepted=False)

    async def edges_to(self, twins: Sequence[str]) -> Sequence[Edge]:
        return await self._edges(RELATIONS.c.target, twins, accepted=True)

    async def _edges(self, end: Any, twins: Sequence[str], *, accepted: bool) -> list[Edge]:  # noqa: ANN401 - a column
        found: list[Edge] = []
        for first in range(0, len(twins), NAMED):
            query = select(RELATIONS).where(end.in_(list(twins[first : first + NAMED])))
            if accepted:
                query = query.where(RELATIONS.c.accepted)
            async with self._database.read() as connection:
                rows = (await connection.execute(query)).all()
            found += [Edge(row.source, row.name, row.target, row.accepted) for row in rows]
        return sorted(found, key=lambda edge: (edge.source, edge.name, edge.target))


def _fits(wanted: Filter) -> Any:  # noqa: ANN401 - a condition of SQL
    number = isinstance(wanted.value, float)
    column = ATTRIBUTES.c.number if number else ATTRIBUTES.c.text
    compared = _OPERATORS[wanted.op](column, wanted.value)
    return exists().where(and_(ATTRIBUTES.c.twin == TWINS.c.id, ATTRIBUTES.c.name == wanted.name, compared))
