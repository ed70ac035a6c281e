"""What a site must not forget: SQLite beside the data, every change a transaction that is on the disk before it counts.

Secrets of an attempt are overwritten when its round is closed (`secure_delete`, and the log of changes is cut short).
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from didymos_contracts.errors.privacy import PRIVACY_SECOND_VECTOR_REFUSED
from didymos_did import Did, GrantId, TwinId
from didymos_learning import flat_bytes
from didymos_privacy import SiteState, site_state, site_state_bytes

from didymos_site.application.ports import Answered, Kept, StoreFailed, Trained
from didymos_site.domain.order import DataOrder, EvaluateOrder, Header, TrainOrder

_SCHEMA: Final = """
create table if not exists answered(run text, round int, attempt int, step text, "order" blob not null,
    signal blob not null, primary key (run, round, attempt, step)) strict;
create table if not exists state(run text, round int, attempt int, state blob not null,
    primary key (run, round, attempt)) strict;
create table if not exists vector(run text, round int, attempt int not null, data blob not null,
    primary key (run, round)) strict;
create table if not exists trained(run text, round int, params blob not null, "order" text not null,
    twins text not null, scores text not null, weight real not null, total blob not null,
    primary key (run, round)) strict;
create table if not exists score(run text, round int, twin text, score real not null,
    primary key (run, round, twin)) strict;
create table if not exists refusal(at_us int not null, run text not null, round int not null, step text not null,
    code text not null) strict;
create table if not exists trained_on(day text, run text, round int, primary key (day, run, round)) strict;
create table if not exists booking(grant_id text, run text, round int, primary key (grant_id, run, round)) strict;
"""
REFUSALS: Final = 10_000  # kept for the owner
_PRAGMAS: Final = ("journal_mode = wal", "synchronous = full", "secure_delete = on", "busy_timeout = 5000")


class SqliteStore:
    """Fills `Store`. One process uses a folder; each method is one transaction."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in _PRAGMAS:
            self._file.execute(f"pragma {pragma}").fetchall()
        self._file.executescript(_SCHEMA)
        path.chmod(0o600)

    def shut(self) -> None:
        self._file.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction. Raises StoreFailed when it cannot be made durable."""
        try:
            self._file.execute("begin immediate")
            try:
                yield self._file
            except BaseException:
                self._file.execute("rollback")
                raise
            self._file.execute("commit")
        except sqlite3.Error as error:
            raise StoreFailed(str(error)) from error

    def answered(self, header: Header, step: str) -> Answered | None:
        query = 'select "order", signal from answered where run = ? and round = ? and attempt = ? and step = ?'
        row = self._file.execute(query, (*_name(header), step)).fetchone()
        return None if row is None else Answered(*row)

    def state(self, header: Header) -> SiteState | None:
        query = "select state from state where run = ? and round = ? and attempt = ?"
        row = self._file.execute(query, _name(header)).fetchone()
        return None if row is None else site_state(row[0])

    def vector(self, run: str, round_: int) -> tuple[int, bytes] | None:
        query = "select attempt, data from vector where run = ? and round = ?"
        row: tuple[int, bytes] | None = self._file.execute(query, (run, round_)).fetchone()
        return row

    def keep(self, kept: Kept) -> None:
        header = kept.header
        with self._writing() as file:
            if kept.vector:
                known = self.vector(header.run, header.round)
                if known is not None and known != (header.attempt, kept.vector):
                    raise PRIVACY_SECOND_VECTOR_REFUSED.problem(detail=f"attempt {known[0]} of this round masked one")
                row = (header.run, header.round, header.attempt, kept.vector)
                file.execute("insert or ignore into vector values (?, ?, ?, ?)", row)
            row_of_answer = (*_name(header), kept.step, kept.order, kept.signal)
            file.execute("insert or replace into answered values (?, ?, ?, ?, ?, ?)", row_of_answer)
            if kept.state is not None:
                self._put_state(header, kept.state)
            bookings = [(grant, header.run, header.round) for grant in kept.booked]
            file.executemany("insert or ignore into booking values (?, ?, ?)", bookings)

    def keep_state(self, header: Header, state: SiteState) -> None:
        with self._writing():
            self._put_state(header, state)

    def _put_state(self, header: Header, state: SiteState) -> None:
        row = (*_name(header), site_state_bytes(state))
        self._file.execute("insert or replace into state values (?, ?, ?, ?)", row)

    def keep_trained(self, order: DataOrder, trained: Trained, day: str) -> None:
        header = order.header
        said = {
            "masking": order.masking, "grantee": order.grantee, "purpose": order.purpose, "cohort": order.cohort,
            "twins": list(order.twins), "gradient": order.gradient.hex() if isinstance(order, TrainOrder) else None,
        }  # fmt: skip
        row = (
            header.run, header.round, header.params, json.dumps(said), json.dumps(list(trained.twins)),
            json.dumps(dict(trained.scores)), trained.weight, flat_bytes(trained.total),
        )  # fmt: skip
        with self._writing() as file:
            file.execute("delete from trained where run = ? and round < ?", (header.run, header.round))
            file.execute("insert or replace into trained values (?, ?, ?, ?, ?, ?, ?, ?)", row)
            if day:
                file.execute("delete from trained_on where day < ?", (day,))
                file.execute("insert or ignore into trained_on values (?, ?, ?)", (day, header.run, header.round))

    def trained_on(self, day: str, run: str, round_: int) -> int:
        query = "select count(*) from trained_on where day = ? and not (run = ? and round = ?)"
        return int(self._file.execute(query, (day, run, round_)).fetchone()[0])

    def opened(self, header: Header) -> DataOrder | None:
        query = 'select "order" from trained where run = ? and round = ? and params = ?'
        row = self._file.execute(query, (header.run, header.round, header.params)).fetchone()
        if row is None:
            return None
        said = json.loads(row[0])
        twins = tuple(TwinId(Did(twin)) for twin in said["twins"])
        if said["gradient"] is None:
            return EvaluateOrder(header, twins, Did(said["grantee"]), said["purpose"], said["cohort"])
        return TrainOrder(
            header, said["masking"], twins, Did(said["grantee"]), said["purpose"], said["cohort"],
            bytes.fromhex(said["gradient"]),
        )  # fmt: skip

    def trained(self, header: Header) -> Trained | None:
        query = "select total, weight, twins, scores from trained where run = ? and round = ? and params = ?"
        row = self._file.execute(query, (header.run, header.round, header.params)).fetchone()
        if row is None:
            return None
        twins = tuple(TwinId(Did(twin)) for twin in json.loads(row[2]))
        scores = {TwinId(Did(twin)): float(score) for twin, score in json.loads(row[3]).items()}
        return Trained(np.frombuffer(row[0], dtype="<f4"), row[1], twins, scores)

    def booked(self, run: str, round_: int) -> Mapping[GrantId, int]:
        query = "select grant_id, count(*) from booking where not (run = ? and round = ?) group by grant_id"
        return {GrantId(grant): rounds for grant, rounds in self._file.execute(query, (run, round_))}

    def refused(self, header: Header, step: str, code: str, at_us: int) -> None:
        with self._writing() as file:
            row = (at_us, header.run, header.round, step, code)
            file.execute("insert into refusal values (?, ?, ?, ?, ?)", row)
            file.execute("delete from refusal where rowid <= (select max(rowid) from refusal) - ?", (REFUSALS,))

    def refusals(self) -> Sequence[tuple[int, str, int, str, str]]:
        """(at_us, run, round, step, code), the newest first."""
        query = "select at_us, run, round, step, code from refusal order by rowid desc"
        return self._file.execute(query).fetchall()

    def rounds(self) -> Sequence[tuple[str, int, int]]:
        """(run, rounds that sent a vector, rounds that were committed), by run."""
        query = """select v.run, count(*), count(distinct s.round) from vector v
            left join score s on s.run = v.run and s.round = v.round group by v.run order by v.run"""
        return self._file.execute(query).fetchall()

    def close(self, header: Header, *, committed: bool) -> None:
        place = (header.run, header.round)
        with self._writing() as file:
            took_part = self.vector(*place) is not None
            row = file.execute("select scores from trained where run = ? and round = ?", place).fetchone()
            if committed and took_part and row is not None:
                scores = [(*place, twin, score) for twin, score in json.loads(row[0]).items()]
                file.executemany("insert or replace into score values (?, ?, ?, ?)", scores)
            if committed:
                file.execute("delete from trained where run = ? and round <= ?", place)
            over = "delete from state where run = ?1 and (round < ?2 or round = ?2 and attempt <= ?3)"
            file.execute(over, _name(header))
            file.execute("update vector set data = x'' where run = ? and round <= ?", place)
            file.execute("delete from answered where run = ? and round < ?", place)
        self._file.execute("pragma wal_checkpoint(truncate)").fetchall()

    def scores(self, run: str) -> Mapping[TwinId, float]:
        query = "select twin, sum(score) from score where run = ? group by twin"
        return {TwinId(Did(twin)): float(score) for twin, score in self._file.execute(query, (run,))}


def _name(header: Header) -> tuple[str, int, int]:
    return header.run, header.round, header.attempt
