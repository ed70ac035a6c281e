"""The one place that builds the adapters of this service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from didymos_contracts.metrics import STEWARD_ACTS_TOTAL, STEWARD_WATCHED_TWINS
from didymos_contracts.topics import TWIN_CHANGED
from didymos_kit.database.relay import Relay
from didymos_kit.dispatch import Dispatcher
from didymos_kit.eventlog.consume import Consumer, consume
from didymos_kit.house import House
from didymos_kit.service import Service, Stopping

from didymos_steward.adapters.consent import TailGrants
from didymos_steward.adapters.stewards import SqlStewards, work_of
from didymos_steward.adapters.twins import RpcTwins
from didymos_steward.entrypoints import grpc, rest
from didymos_steward.entrypoints.consumer import GROUP, Watch, counting
from didymos_steward.settings import StewardSettings

NAME = "steward"


@asynccontextmanager
async def bootstrap(settings: StewardSettings, house: House) -> AsyncIterator[Service]:
    """The steward service of `house`. Its DID is that of its key in the ring: owners grant to that."""
    did = house.keys.did(NAME)
    async with house.database(NAME) as database, house.rpc("twin-state", NAME) as peer:
        relay = Relay(database, house.event_log, house.clock, house.metrics)
        dispatch = Dispatcher(database, work_of(did), relay, settings.placed_within_seconds)
        grants = TailGrants(house.consent, did)
        acted = {state: house.metrics.counter(STEWARD_ACTS_TOTAL, outcome=state) for state in _OUTCOMES}
        watch = Watch(database, dispatch, RpcTwins(peer), grants, house.clock, lambda state: acted[state].inc())
        consumer = Consumer(GROUP, [TWIN_CHANGED.name], watch.handle, metrics=house.metrics)

        async def watch_twins(stopping: Stopping) -> None:
            await consume(house.event_log, consumer, house.clock, stopping)

        @asynccontextmanager
        async def reading() -> AsyncIterator[SqlStewards]:
            async with database.read() as connection:
                yield SqlStewards(connection)

        routes = rest.routes(dispatch, house.identity, grants, house.clock, house.ids, house.wait)
        yield Service(
            NAME,
            routers=(routes,),
            servicers=(grpc.StewardsRpc(dispatch, house.identity).register,),
            loops=(relay.run, watch_twins, counting(reading, house.metrics.gauge(STEWARD_WATCHED_TWINS))),
            checks=(database.check,),
        )


_OUTCOMES = ("proposed", "applied", "refused", "undone")
