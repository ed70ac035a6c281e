"""Runs and rounds as rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from didymos_contracts.errors.training import TRAINING_LEASE_LOST
from didymos_did import Did, GrantId, Purpose, TwinId, jcs, parse_strict
from didymos_learning import RunSpec
from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_training_orchestration.adapters.tables import MEMBERS, ROUNDS, RUNS
from didymos_training_orchestration.domain.cohort import Cohort, Member, Subject
from didymos_training_orchestration.domain.round import Round, RoundState
from didymos_training_orchestration.domain.run import Run, RunId, RunState, Terms

DIGEST_BYTES = 32
NOBODY = ""


class SqlRuns:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, run: Run) -> None:
        await self._connection.execute(
            insert(RUNS).values(lease_owner=NOBODY, lease_until=None, **_fixed(run), **_changing(run))
        )

    async def find(self, run: RunId) -> Run | None:
        row = (await self._connection.execute(select(RUNS).where(RUNS.c.run == run))).one_or_none()
        return None if row is None else run_from_row(row)

    async def lock(self, run: RunId) -> Run | None:
        query = select(RUNS).where(RUNS.c.run == run).with_for_update()
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else run_from_row(row)

    async def save(self, run: Run) -> None:
        previous = update(RUNS).where(
            RUNS.c.run == run.id, RUNS.c.revision == run.revision - 1, RUNS.c.lease_epoch == run.lease_epoch
        )
        written = await self._connection.execute(previous.values(**_changing(run)))
        if written.rowcount != 1:
            raise TRAINING_LEASE_LOST.problem(run=run.id)

    async def of(self, party: Did, before: RunId | None, limit: int) -> Sequence[Run]:
        query = select(RUNS).where(or_(RUNS.c.buyer == party, RUNS.c.provider == party))
        if before is not None:
            query = query.where(RUNS.c.run < before)
        rows = await self._connection.execute(query.order_by(RUNS.c.run.desc()).limit(limit))
        return [run_from_row(row) for row in rows]

    async def under(self, agreement: str) -> Sequence[Run]:
        rows = await self._connection.execute(select(RUNS).where(RUNS.c.agreement == agreement).order_by(RUNS.c.run))
        return [run_from_row(row) for row in rows]

    async def to_drive(self) -> Sequence[RunId]:
        query = select(RUNS.c.run).where(RUNS.c.state == RunState.RUNNING.value).order_by(RUNS.c.run)
        return [RunId(name) for name in (await self._connection.execute(query)).scalars()]

    async def take_lease(self, run: RunId, owner: str, now: datetime, until: datetime, *, at_once: bool) -> int | None:
        statement = update(RUNS).where(RUNS.c.run == run)
        if not at_once:
            free = or_(RUNS.c.lease_until.is_(None), RUNS.c.lease_until < now, RUNS.c.lease_owner == owner)
            statement = statement.where(free)
        ours = {"lease_owner": owner, "lease_epoch": RUNS.c.lease_epoch + 1, "lease_until": until}
        taken = await self._connection.execute(statement.values(**ours).returning(RUNS.c.lease_epoch))
        epoch: int | None = taken.scalar()
        return epoch

    async def renew_lease(self, run: RunId, epoch: int, until: datetime) -> bool:
        statement = update(RUNS).where(RUNS.c.run == run, RUNS.c.lease_epoch == epoch)
        return (await self._connection.execute(statement.values(lease_until=until))).rowcount == 1


def _fixed(run: Run) -> dict[str, Any]:
    return {
        "run": run.id, "agreement": run.terms.agreement, "buyer": run.terms.buyer, "provider": run.terms.provider,
        "purpose": run.terms.purpose, "clients": run.clients, "spec": run.spec.to_json(),
        "spec_digest": run.spec.digest, "created_at": run.created_at,
    }  # fmt: skip


def _changing(run: Run) -> dict[str, Any]:
    return {
        "state": run.state.value, "reason": run.reason, "round": run.round, "committed": run.committed,
        "aborted": run.aborted, "params": run.params, "moments": b"".join(run.moments), "bitwise": int(run.bitwise),
        "fingerprint": run.fingerprint, "revision": run.revision, "lease_epoch": run.lease_epoch,
    }  # fmt: skip


_spec_of = lru_cache(maxsize=64)(RunSpec.from_json)  # read many times a round, and never another value


def run_from_row(row: Row[Any]) -> Run:
    moments = tuple(row.moments[at : at + DIGEST_BYTES] for at in range(0, len(row.moments), DIGEST_BYTES))
    terms = Terms(row.agreement, Did(row.buyer), Did(row.provider), Purpose(row.purpose))
    run = Run(RunId(row.run), terms, _spec_of(row.spec), row.clients, row.created_at)
    return replace(
        run, state=RunState(row.state), reason=row.reason, round=row.round, committed=row.committed,
        aborted=row.aborted, params=row.params, moments=moments, lease_epoch=row.lease_epoch,
        bitwise=bool(row.bitwise), fingerprint=row.fingerprint, revision=row.revision,
    )  # fmt: skip


class SqlRounds:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, round_: Round) -> None:
        await self._connection.execute(insert(ROUNDS).values(**_round_row(round_)))

    async def save(self, round_: Round) -> None:
        ours = update(ROUNDS).where(ROUNDS.c.run == round_.run, ROUNDS.c.round == round_.number)
        await self._connection.execute(ours.values(**_round_row(round_)))

    async def find(self, run: RunId, number: int) -> Round | None:
        query = select(ROUNDS).where(ROUNDS.c.run == run, ROUNDS.c.round == number)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else round_from_row(row)

    async def of(self, run: RunId) -> Sequence[Round]:
        rows = await self._connection.execute(select(ROUNDS).where(ROUNDS.c.run == run).order_by(ROUNDS.c.round))
        return [round_from_row(row) for row in rows]

    async def newest(self, run: RunId, count: int) -> Sequence[Round]:
        query = select(ROUNDS).where(ROUNDS.c.run == run).order_by(ROUNDS.c.round.desc()).limit(count)
        return [round_from_row(row) for row in await self._connection.execute(query)][::-1]

    async def add_committed(self, rounds: Sequence[Round]) -> None:
        cohort = _cohort_columns(rounds[0].cohort)
        await self._connection.execute(insert(ROUNDS), [_round_row(round_, cohort) for round_ in rounds])
        outcomes = [
            {"run": each.run, "round": each.number, "attempt": each.attempt, "member": name, "outcome": "delivered"}
            for each in rounds
            for name in each.accepted
        ]
        await self._connection.execute(insert(MEMBERS), outcomes)

    async def outcome(self, round_: Round, outcomes: Mapping[Did, str]) -> None:
        if not outcomes:
            return
        here = (MEMBERS.c.run == round_.run, MEMBERS.c.round == round_.number, MEMBERS.c.attempt == round_.attempt)
        await self._connection.execute(delete(MEMBERS).where(*here, MEMBERS.c.member.in_(list(outcomes))))
        rows = [
            {"run": round_.run, "round": round_.number, "attempt": round_.attempt, "member": name, "outcome": said}
            for name, said in sorted(outcomes.items())
        ]
        await self._connection.execute(insert(MEMBERS), rows)

    async def outcomes(self, run: RunId, number: int) -> Mapping[tuple[int, Did], str]:
        query = select(MEMBERS).where(MEMBERS.c.run == run, MEMBERS.c.round == number)
        rows = await self._connection.execute(query.order_by(MEMBERS.c.attempt, MEMBERS.c.member))
        return {(row.attempt, Did(row.member)): row.outcome for row in rows}


def _cohort_columns(cohort: Cohort) -> dict[str, bytes]:
    return {"cohort": cohort_json(cohort), "cohort_digest": cohort.digest}


def _round_row(round_: Round, cohort: Mapping[str, bytes] | None = None) -> dict[str, Any]:
    """`cohort`: its columns, where many rounds have one cohort."""
    return {
        "run": round_.run, "round": round_.number, "attempt": round_.attempt, "state": round_.state.value,
        **(_cohort_columns(round_.cohort) if cohort is None else cohort), "params": round_.params,
        "training_us": round_.training_us,
        "opened_us": round_.opened_us, "closed_us": round_.closed_us,
        "accepted": names_json(round_.accepted),
        "total_digest": round_.total, "result": round_.result, "transcript": round_.transcript,
        "reason": round_.reason, "charged": int(round_.charged),
    }  # fmt: skip


def round_from_row(row: Row[Any]) -> Round:
    return Round(
        RunId(row.run), row.round, cohort_from_json(row.cohort), row.params, row.attempt, RoundState(row.state),
        row.opened_us, row.training_us, row.closed_us,
        names_from_json(row.accepted), row.total_digest, row.result,
        row.transcript, row.reason, bool(row.charged),
    )  # fmt: skip


LARGEST = 64 * 1024 * 1024  # bytes of a cohort that we wrote ourselves


def cohort_json(cohort: Cohort) -> bytes:
    return jcs([
        [member.name, member.size, [[subject.twin, subject.grant] for subject in member.subjects]]
        for member in cohort.members
    ])  # fmt: skip


def cohort_from_json(raw: bytes) -> Cohort:
    return Cohort(tuple(
        Member(Did(name), tuple(Subject(TwinId(Did(twin)), GrantId(grant)) for twin, grant in subjects), size)
        for name, size, subjects in parse_strict(raw, limit=LARGEST)
    ))  # fmt: skip


def names_json(names: Sequence[Did]) -> bytes:
    return jcs(list(names))


def names_from_json(raw: bytes) -> tuple[Did, ...]:
    return tuple(Did(name) for name in parse_strict(raw, limit=LARGEST))
