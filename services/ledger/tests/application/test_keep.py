"""Records beside the log: kept before they are logged, once, sealed by who they are about, and gone when erased."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest
from didymos_contracts.errors import Problem
from didymos_did import jcs, verify_document
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_ledger.adapters.file_log import FileLog
from didymos_ledger.adapters.sql_records import Seals, SqlRecords
from didymos_ledger.application.keep import keep_all, settle_places
from didymos_ledger.application.ports import Parties, Payout
from didymos_ledger.domain.batch import EntryDraft
from didymos_ledger.domain.provable import Follows, Provable, of_agreement, of_twin
from didymos_provenance import Json, Salt, b64url, commit, thread_of
from didymos_testing.clock import FixedClock, seeded_ids
from didymos_testing.did import INSTITUTE, OWNER, a_signer
from didymos_testing.provenance import a_salt

T = TypeVar("T")
HOUSE = a_signer("house")
TWIN = "did:key:z6MkTwinOfSomebody"


@dataclass
class Store:
    """A record store on a real database."""

    database: Database
    path: Path
    salts: int = 0

    async def __call__(self, use: Callable[[SqlRecords], Awaitable[T]]) -> T:
        async with self.database.unit_of_work() as tx:
            return await use(SqlRecords(tx.connection, Seals(b"m" * 32), FixedClock()))

    def salt(self) -> Salt:
        self.salts += 1
        return a_salt(str(self.salts))

    async def keep(self, *provables: Provable) -> list[EntryDraft]:
        return await self(lambda records: keep_all(provables, records, HOUSE, FixedClock().now(), self.salt))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    clock = FixedClock()
    engine, migrations = sqlite_engine(tmp_path / "ledger.db", erasing=True), migrations_of("ledger")
    await upgrade(engine, migrations)
    stamp = Stamp("didymos://test/ledger", clock, seeded_ids(clock))
    async with Database(engine, "ledger", stamp, migrations) as database:
        yield Store(database, tmp_path / "ledger.db")


def a_round(number: int = 1, kind: str = "round.committed") -> Provable:
    subject = f"run/rounds/{number}"
    record = {"id": subject, "secret": "what only parties may read"}
    return Provable(kind, subject, thread_of("run"), record, of_agreement("a"), agreement="a", run="run", round=number)


def a_grant() -> Provable:
    record: dict[str, Json] = {"id": "g", "issuer": str(OWNER.did), "proof": {}}
    return Provable("grant.issued", "g", thread_of("g"), record, of_twin(TWIN), owner=OWNER.did)


async def test_what_nobody_signed_the_house_signs(store: Store) -> None:
    (draft,) = await store.keep(a_round())
    kept = await store(lambda records: records.find("round.committed", "run/rounds/1"))
    assert kept is not None
    verify_document(dict(kept.record), HOUSE.did)
    assert commit(jcs(dict(kept.record)), kept.salt) == draft.commitment == kept.commitment


async def test_a_repeat_before_the_entry_is_logged_gets_the_same_commitment(store: Store) -> None:
    assert await store.keep(a_round()) == await store.keep(a_round())
    assert store.salts == 1


async def test_what_is_in_the_log_is_not_logged_again(store: Store) -> None:
    (draft,) = await store.keep(a_round())
    await store(lambda records: records.place({draft.event_id: 7}))
    assert await store.keep(a_round()) == []


async def test_an_event_twice_in_a_slice_is_one_entry(store: Store) -> None:
    assert len(await store.keep(a_round(), a_round(), a_round(2))) == 2


async def test_a_record_names_the_one_it_follows_by_commitment(store: Store) -> None:
    follows = Follows("committed", "round.committed", "run/rounds/1")
    closed = replace(a_round(kind="round.closed"), follows=follows)
    with pytest.raises(Problem, match=r"platform\.not_found"):
        await store.keep(closed)
    committed, _ = await store.keep(a_round(), closed)
    kept = await store(lambda records: records.find("round.closed", "run/rounds/1"))
    assert kept is not None
    assert kept.record["committed"] == b64url(committed.commitment)


async def test_each_record_has_a_salt_of_its_own(store: Store) -> None:
    await store.keep(a_round(1), a_round(2))
    found = [await store(lambda records, n=n: records.find("round.committed", f"run/rounds/{n}")) for n in (1, 2)]  # type: ignore[misc]
    assert len({kept.salt for kept in found if kept is not None}) == 2


async def test_an_erased_holder_leaves_nothing_to_open_and_takes_no_more(store: Store) -> None:
    await store.keep(a_grant(), a_round())
    assert await store(lambda records: records.erase(of_twin(TWIN))) == 1
    assert await store(lambda records: records.find("grant.issued", "g")) is None
    assert await store.keep(a_grant()) == []
    assert await store(lambda records: records.find("round.committed", "run/rounds/1")) is not None


async def test_an_erasure_leaves_no_trace_of_whom_it_was_about(store: Store) -> None:
    await store.keep(a_grant())
    await store(lambda records: records.erase(of_twin(TWIN)))
    with sqlite3.connect(store.path) as file:
        file.execute("pragma wal_checkpoint(truncate)")
    file.close()
    raw = store.path.read_bytes()
    assert TWIN.encode() not in raw
    assert OWNER.did.encode() not in raw


async def test_records_lie_sealed(store: Store) -> None:
    await store.keep(a_round())
    with sqlite3.connect(store.path) as file:
        file.execute("pragma wal_checkpoint(truncate)")
    file.close()
    assert b"what only parties may read" not in store.path.read_bytes()


async def test_places_that_a_crash_left_unknown_are_found_in_the_log(store: Store, log: FileLog) -> None:
    drafts = await store.keep(a_round(1), a_round(2))
    await log.append(drafts[:1])
    assert await store(lambda records: settle_places(records, log)) == 1
    assert await store(lambda records: records.unplaced()) == [drafts[1].event_id]
    first = await store(lambda records: records.find("round.committed", "run/rounds/1"))
    assert first is not None
    assert first.place == 0


async def test_the_last_round_of_a_run_is_the_one_of_the_highest_number(store: Store) -> None:
    await store.keep(*(a_round(number, "round.closed") for number in (2, 10, 9)))
    last = await store(lambda records: records.last_round("run"))
    assert last is not None
    assert last.subject == "run/rounds/10"


async def test_payouts_and_parties_are_kept_once(store: Store) -> None:
    payout = Payout("t", "a", 1, 0, thread_of("g"), "EUR/2", 5)
    for _ in range(2):
        await store(lambda records: records.add_payout(payout))
        await store(lambda records: records.add_parties("a", Parties(HOUSE.did, INSTITUTE.did)))
    assert await store(lambda records: records.payouts("a", 1)) == [payout]
    assert await store(lambda records: records.organisations()) == sorted([HOUSE.did, INSTITUTE.did])
