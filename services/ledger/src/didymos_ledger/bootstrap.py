"""The one place where the ledger is put together: a log, its witnesses, or both, by role."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from didymos_contracts.metrics import LEDGER_PROOFS_TOTAL, LEDGER_WITNESS_TOTAL
from didymos_kit.database.engine import Database
from didymos_kit.database.relay import Relay
from didymos_kit.database.unit_of_work import Transaction
from didymos_kit.house import House
from didymos_kit.service import Check, Service, Stopping
from didymos_provenance import SALT_BYTES, Organisation, Salt, parse_policy
from fastapi import APIRouter

from didymos_ledger.adapters.file_log import FileLog, open_file_log
from didymos_ledger.adapters.identity import IdentityCredentials
from didymos_ledger.adapters.protobuf import checkpoint_agreed
from didymos_ledger.adapters.sql_records import Seals, SqlRecords
from didymos_ledger.adapters.witness_clients import HttpWitness, Witness
from didymos_ledger.adapters.witness_db import WitnessDb
from didymos_ledger.application.keep import settle_places
from didymos_ledger.application.newest import Newest
from didymos_ledger.application.ports import Agreed, Records, WitnessClient
from didymos_ledger.application.trust_files import policy_file
from didymos_ledger.entrypoints import rest
from didymos_ledger.entrypoints.agreeing import Agreeing, Quorum
from didymos_ledger.entrypoints.collector import Collector, Sources
from didymos_ledger.entrypoints.grpc import LedgerRpc
from didymos_ledger.entrypoints.witness_rest import witness_routes
from didymos_ledger.keys import Keys
from didymos_ledger.settings import LedgerSettings

NAME: Final = "ledger"
SERVERS_FOLDER: Final = Path(".didymos/ledger")
WITNESS_SECONDS: Final = 2.0


@asynccontextmanager
async def bootstrap(settings: LedgerSettings, house: House) -> AsyncIterator[Service]:
    """The service in its role, as long as the block lasts."""
    keys = Keys(settings, house.keys)
    if settings.role == "witness":
        folder = settings.folder or SERVERS_FOLDER
        with ThreadPoolExecutor(1, "ledger-witness") as thread:
            witness = _witness(settings.witness, keys, folder, thread, house)
            yield Service(NAME, routers=(_witness_router(witness, keys, house),))
            await witness.states.close()
        return
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(house.database(NAME, erasing=True))
        folder = settings.folder or _beside(database)
        yield await _log_service(settings, house, keys, database, folder, stack)


async def _log_service(
    settings: LedgerSettings, house: House, keys: Keys, database: Database, folder: Path, stack: AsyncExitStack
) -> Service:
    log = await stack.enter_async_context(
        open_file_log(
            folder / f"log-{settings.shard}", house.org, keys.log(), lambda: house.clock.now_us() // 1_000_000
        )
    )
    witnesses = await _witnesses(settings, house, keys, folder, stack)
    records = _Store(database, Seals(house.keys.secret(NAME)), house)
    async with database.unit_of_work() as tx:
        await settle_places(records.keeping(tx), log)
    policy = policy_file(keys.log().key, keys.witnesses(), _operators(settings))
    newest = Newest(await log.agreed())
    relay = Relay(database, house.event_log, house.clock, house.metrics)
    agreeing = Agreeing(
        log, log, Quorum(witnesses, parse_policy(policy)), newest, house.clock, house.metrics, _announcing(database)
    )
    identity = await stack.enter_async_context(house.rpc("identity", NAME))
    sources = Sources(
        IdentityCredentials(identity), house.identity, house.keys.organisation, lambda: Salt(os.urandom(SALT_BYTES))
    )
    collector = Collector(log, database, records.keeping, sources, house.clock, house.metrics)
    shown = rest.Shown(
        log, newest, records.reading, policy, Organisation(house.org, "the operator of this house", (keys.origin,)),
        _proofs(house), house.clock,
    )  # fmt: skip
    local = [witness for witness in witnesses if isinstance(witness, Witness)]
    writers = frozenset({house.org, house.keys.did(NAME)})

    async def agree_on(stopping: Stopping) -> None:
        await agreeing.run(settings.agree_seconds, stopping)

    async def collect(stopping: Stopping) -> None:
        await collector.run(house.event_log, stopping)

    return Service(
        NAME,
        routers=(
            rest.log_routes(shown, settings.shard), rest.proof_routes(shown),
            *(_witness_router(witness, keys, house) for witness in local[settings.witness - 1 : settings.witness]),
        ),
        servicers=(LedgerRpc(log, newest, writers).register,),
        loops=(relay.run, agree_on, collect),
        checks=(database.check, _well(log)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Store:
    """Records as of one moment, or in a transaction."""

    database: Database
    seals: Seals
    house: House

    def keeping(self, tx: Transaction) -> SqlRecords:
        return SqlRecords(tx.connection, self.seals, self.house.clock)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Records]:
        async with self.database.read() as connection:
            yield SqlRecords(connection, self.seals, self.house.clock)


async def _witnesses(
    settings: LedgerSettings, house: House, keys: Keys, folder: Path, stack: AsyncExitStack
) -> Sequence[WitnessClient]:
    """Those of this house, and its partners'."""
    client = await stack.enter_async_context(httpx.AsyncClient(timeout=WITNESS_SECONDS, trust_env=False))
    partners = [HttpWitness(partner.key.name, partner.url, client) for partner in keys.partners()]
    if settings.role == "log":
        named = enumerate(settings.witness_urls, start=1)
        return [*(HttpWitness(keys.witness(number).key.name, url, client) for number, url in named), *partners]
    thread = stack.enter_context(ThreadPoolExecutor(1, "ledger-witness"))
    made = [_witness(number, keys, folder, thread, house) for number in range(1, settings.witness_count + 1)]
    for witness in made:
        stack.push_async_callback(witness.states.close)
    return [*made, *partners]


def _witness(number: int, keys: Keys, folder: Path, thread: Executor, house: House) -> Witness:
    """One witness with a state of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    states = WitnessDb(folder / f"witness-{number}.db", thread)
    return Witness(keys.witness(number), keys.known_logs(), states, lambda: house.clock.now_us() // 1_000_000)


def _witness_router(witness: Witness, keys: Keys, house: House) -> APIRouter:
    counted = [house.metrics.counter(LEDGER_WITNESS_TOTAL, outcome=outcome) for outcome in ("cosigned", "refused")]
    return witness_routes(witness, list(keys.known_logs()), *counted)


def _announcing(database: Database) -> Callable[[Agreed], Awaitable[None]]:
    async def announce(agreed: Agreed) -> None:
        async with database.unit_of_work() as tx:
            tx.publish_event(checkpoint_agreed(agreed), key=agreed.checkpoint.origin)

    return announce


def _proofs(house: House) -> rest.Proofs:
    served, pending, unknown = (
        house.metrics.counter(LEDGER_PROOFS_TOTAL, outcome=outcome) for outcome in ("served", "pending", "unknown")
    )
    return rest.Proofs(served, pending, unknown)


def _well(log: FileLog) -> Check:
    async def check() -> str | None:
        trouble = log.trouble()
        return None if trouble is None else f"log: {trouble.row.code}"

    return check


def _operators(settings: LedgerSettings) -> str:
    where = "in the process of the log" if settings.role == "all" else "as processes"
    if settings.partners:
        return f"witnesses of {1 + len(settings.partners)} organisations; {settings.witness_count} of its own, {where}"
    return f"{settings.witness_count} witnesses of one operator, {where}: they show that it does not fork by mistake"


def _beside(database: Database) -> Path:
    """The data folder of an embedded house; with servers, a folder of its own."""
    path = database.engine.url.database if database.is_sqlite else None
    return Path(path).parent.parent / NAME if path else SERVERS_FOLDER
