"""Models, their lineage, and what sites reported, as rows. learning.md section 11."""

import json
from collections.abc import Sequence
from typing import Any

from didymos_did import Did, GrantId, TwinId
from didymos_kit.database.seen import insert_missing
from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_training_orchestration.adapters.tables import (
    EVALUATIONS,
    JUDGEMENTS,
    MODELS,
    PARENTS,
    RUNS,
    TALLIES,
    USES,
)
from didymos_training_orchestration.domain.contribution import SubjectReport
from didymos_training_orchestration.domain.evaluation import Tally
from didymos_training_orchestration.domain.judgement import Judgement
from didymos_training_orchestration.domain.model import Model, ModelId, ModelKind, ModelState, Parent
from didymos_training_orchestration.domain.round import Round
from didymos_training_orchestration.domain.run import ENDED, RunId


class SqlRegistry:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, model: Model, parents: Sequence[Parent]) -> None:
        row = {
            "model": model.id, "kind": model.kind.value, "run": model.run, "twin": model.twin, "task": model.task,
            "params": model.params, "card": model.card, "state": model.state.value, "created_at": model.created_at,
        }  # fmt: skip
        await insert_missing(self._connection, MODELS, [row])
        rows = [{"child": each.child, "parent": each.parent, "relation": each.relation} for each in parents]
        if rows:
            await insert_missing(self._connection, PARENTS, rows)

    async def find(self, model: ModelId) -> Model | None:
        row = (await self._connection.execute(select(MODELS).where(MODELS.c.model == model))).one_or_none()
        return None if row is None else _model(row)

    async def of_run(self, run: RunId) -> Sequence[Model]:
        rows = await self._connection.execute(
            select(MODELS).where(MODELS.c.run == run).order_by(MODELS.c.kind, MODELS.c.twin)
        )
        return [_model(row) for row in rows]

    async def parents(self, model: ModelId) -> Sequence[Parent]:
        rows = await self._connection.execute(
            select(PARENTS).where(PARENTS.c.child == model).order_by(PARENTS.c.parent)
        )
        return [_parent(row) for row in rows]

    async def children(self, model: ModelId) -> Sequence[Parent]:
        rows = await self._connection.execute(
            select(PARENTS).where(PARENTS.c.parent == model).order_by(PARENTS.c.child)
        )
        return [_parent(row) for row in rows]

    async def report(self, run: RunId, reports: Sequence[SubjectReport]) -> None:
        rows = [_report_row(run, report) for report in reports]
        if rows:
            await insert_missing(self._connection, EVALUATIONS, rows)

    async def reports(self, run: RunId) -> Sequence[SubjectReport]:
        rows = await self._connection.execute(
            select(EVALUATIONS).where(EVALUATIONS.c.run == run).order_by(EVALUATIONS.c.twin)
        )
        return [_report(row) for row in rows]

    async def of_twin(self, twin: TwinId) -> Sequence[Model]:
        rows = await self._connection.execute(select(MODELS).where(MODELS.c.twin == twin).order_by(MODELS.c.created_at))
        return [_model(row) for row in rows]

    async def reports_of(self, twin: TwinId) -> Sequence[SubjectReport]:
        rows = await self._connection.execute(select(EVALUATIONS).where(EVALUATIONS.c.twin == twin))
        return [_report(row) for row in rows]

    async def erase(self, models: Sequence[Model], twin: TwinId) -> None:
        for model in models:
            ours = update(MODELS).where(MODELS.c.model == model.id)
            await self._connection.execute(ours.values(card=model.card, state=model.state.value))
        await self._connection.execute(delete(EVALUATIONS).where(EVALUATIONS.c.twin == twin))

    async def unjudged(self) -> RunId | None:
        ended = RUNS.c.state.in_([state.value for state in ENDED])
        judged = select(JUDGEMENTS.c.run).where(JUDGEMENTS.c.run == RUNS.c.run).exists()
        query = select(RUNS.c.run).where(ended, ~judged).order_by(RUNS.c.run).limit(1)
        name: str | None = (await self._connection.execute(query)).scalar()
        return None if name is None else RunId(name)

    async def judged(self, run: RunId, judgement: Judgement) -> None:
        row = {
            "run": run, "source": judgement.source, "windows": judgement.windows, "naive": judgement.naive,
            "losses": json.dumps(judgement.losses).encode(),
        }  # fmt: skip
        await insert_missing(self._connection, JUDGEMENTS, [row])

    async def judgement(self, run: RunId) -> Judgement | None:
        row = (await self._connection.execute(select(JUDGEMENTS).where(JUDGEMENTS.c.run == run))).one_or_none()
        if row is None:
            return None
        losses = tuple((int(number), float(loss)) for number, loss in json.loads(row.losses))
        return Judgement(row.source, row.windows, row.naive, losses)

    async def counted(self, run: RunId, tally: Tally) -> None:
        row = {
            "run": run, "round": tally.round, "sites": tally.sites, "subjects": tally.subjects,
            "sums": json.dumps(tally.sums).encode(),
        }  # fmt: skip
        await insert_missing(self._connection, TALLIES, [row])

    async def tallies(self, run: RunId) -> Sequence[Tally]:
        rows = await self._connection.execute(select(TALLIES).where(TALLIES.c.run == run).order_by(TALLIES.c.round))
        return [Tally(row.round, row.sites, row.subjects, tuple(map(float, json.loads(row.sums)))) for row in rows]

    async def note_uses(self, round_: Round) -> None:
        rows = [
            {"twin": subject.twin, "run": round_.run, "grant_id": subject.grant}
            for member in round_.cohort.members
            for subject in member.subjects
        ]
        if rows:
            await insert_missing(self._connection, USES, rows)

    async def uses(self, twin: TwinId) -> Sequence[tuple[RunId, GrantId]]:
        query = select(USES.c.run, USES.c.grant_id).where(USES.c.twin == twin).order_by(USES.c.run, USES.c.grant_id)
        return [(RunId(row.run), GrantId(row.grant_id)) for row in await self._connection.execute(query)]


def _model(row: Row[Any]) -> Model:
    twin = None if row.twin is None else TwinId(Did(row.twin))
    return Model(
        ModelId(row.model), ModelKind(row.kind), RunId(row.run), twin, row.task, row.params, row.card, row.created_at,
        ModelState(row.state),
    )  # fmt: skip


def _parent(row: Row[Any]) -> Parent:
    return Parent(ModelId(row.child), row.parent, row.relation)


def _report_row(run: RunId, report: SubjectReport) -> dict[str, Any]:
    said = {name: getattr(report, name) for name in SubjectReport.__slots__}
    return {**said, "run": run, "accepted": int(report.accepted)}


def _report(row: Row[Any]) -> SubjectReport:
    said = {name: getattr(row, name) for name in SubjectReport.__slots__}
    said |= {"twin": TwinId(Did(row.twin)), "site": Did(row.site), "accepted": bool(row.accepted)}
    return SubjectReport(**said)
