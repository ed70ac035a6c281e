"""The one place where the market is put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from didymos_contracts.metrics import MARKET_AGREEMENTS_TOTAL
from didymos_did import Did, parse_did
from didymos_kit.database.idempotency_table import SqlAnswers
from didymos_kit.database.relay import Relay
from didymos_kit.dispatch import Dispatcher
from didymos_kit.house import House
from didymos_kit.http.paging import Cursors
from didymos_kit.service import Service, Stopping

from didymos_marketplace.adapters.work import SqlTables, SqlWork
from didymos_marketplace.application.negotiate import Cover
from didymos_marketplace.application.ports import Tables, Work
from didymos_marketplace.entrypoints import rest
from didymos_marketplace.entrypoints.consumer import Hearing
from didymos_marketplace.entrypoints.grpc import MarketRpc
from didymos_marketplace.entrypoints.measuring import Measuring
from didymos_marketplace.settings import MarketplaceSettings

NAME: Final = "marketplace"
ACTING: Final = ("training-orchestration", "ledger", "twin-state", "steward")  # services that read agreements


@asynccontextmanager
async def bootstrap(settings: MarketplaceSettings, house: House) -> AsyncIterator[Service]:
    """The service, as long as the block lasts."""
    async with house.database(NAME) as database:
        relay = Relay(database, house.event_log, house.clock, house.metrics)
        dispatch: Dispatcher[Work] = Dispatcher(database, SqlWork, relay, settings.placed_within_seconds)

        @asynccontextmanager
        async def reads() -> AsyncIterator[Tables]:
            async with database.read() as connection:
                yield SqlTables(connection)

        hearing = Hearing(database, SqlWork, house.clock, house.metrics)

        async def hear(stopping: Stopping) -> None:
            await hearing.run(house.event_log, stopping)

        services = frozenset(house.keys.did(name) for name in ACTING)
        desk = rest.Desk(
            dispatch, reads, SqlAnswers(database), Cover(house.consent, house.identity),
            _administrators(settings, house), services, Cursors(house.keys.secret(f"{NAME}/cursors"), "offers"),
            house.clock, house.ids, house.wait,
            *(house.metrics.counter(MARKET_AGREEMENTS_TOTAL, outcome=outcome) for outcome in ("agreed", "terminated")),
        )  # fmt: skip
        yield Service(
            NAME,
            routers=rest.routes(desk),
            servicers=(MarketRpc(reads, services).register,),
            loops=(relay.run, hear, Measuring(reads, house.metrics).run),
            checks=(database.check,),
        )


def _administrators(settings: MarketplaceSettings, house: House) -> frozenset[Did]:
    """Raises DidError for a name that is no DID."""
    return frozenset(map(parse_did, settings.administrators)) or frozenset({house.org})
