"""The one place that builds the adapters of this service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from didymos_kit.database.relay import Relay
from didymos_kit.dispatch import Dispatcher
from didymos_kit.house import House
from didymos_kit.service import Service

from didymos_template_service.adapters.notes import work_of
from didymos_template_service.entrypoints import rest
from didymos_template_service.settings import TemplateServiceSettings

NAME = "template-service"


@asynccontextmanager
async def bootstrap(settings: TemplateServiceSettings, house: House) -> AsyncIterator[Service]:
    async with house.database(NAME) as database:
        relay = Relay(database, house.event_log, house.clock, house.metrics)
        dispatch = Dispatcher(database, work_of, relay, settings.placed_within_seconds)
        routers = (rest.routes(dispatch, house.identity, house.clock),)
        yield Service(NAME, routers, loops=(relay.run,), checks=(database.check,))
