"""Ingestion, wired: the only place that builds its adapters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from didymos.identity.v1.identity_service_pb2_grpc import VaultStub
from didymos_contracts.errors.platform import PLATFORM_INVALID_SETTING
from didymos_contracts.topics import TWIN_LIFECYCLE, TWIN_PROFILE
from didymos_kit.house import House
from didymos_kit.http.paging import Cursors
from didymos_kit.service import Loop, Service

from didymos_ingestion.adapters.mqtt import broker_of
from didymos_ingestion.adapters.quarantine import LoggedQuarantine
from didymos_ingestion.adapters.readings_log import LogOfReadings
from didymos_ingestion.adapters.refusals import SqlRefusals
from didymos_ingestion.adapters.twin_tails import LifecycleTable, ProfileTable
from didymos_ingestion.adapters.vault import CachedKeys
from didymos_ingestion.application.ports import Ports
from didymos_ingestion.application.release_refusals import Releasing
from didymos_ingestion.domain.quota import Buckets, Load
from didymos_ingestion.domain.vouched import vouched
from didymos_ingestion.entrypoints.consumer import refusals_loop
from didymos_ingestion.entrypoints.gateway import Gateway
from didymos_ingestion.entrypoints.grpc import PUBLIC_RPCS, IngestRpc
from didymos_ingestion.entrypoints.intake import Intake, Meters
from didymos_ingestion.entrypoints.rest import batch_routes
from didymos_ingestion.entrypoints.rest_quarantine import quarantine_routes
from didymos_ingestion.settings import IngestionSettings

NAME: Final = "ingestion"


@asynccontextmanager
async def bootstrap(settings: IngestionSettings, house: House) -> AsyncIterator[Service]:
    lifecycles, profiles = LifecycleTable(), ProfileTable()
    async with (
        house.database(NAME) as database,
        house.event_log.writer(NAME) as writer,
        house.rpc("identity", NAME) as identity,
        house.event_log.tail(TWIN_LIFECYCLE.name, lifecycles.apply) as lifecycle_tail,
        house.event_log.tail(TWIN_PROFILE.name, profiles.apply) as profile_tail,
    ):
        await lifecycle_tail.ready()
        await profile_tail.ready()
        ports = Ports(
            operator=house.org,
            identity=house.identity,
            lifecycles=lifecycles,
            profiles=profiles,
            keys=CachedKeys(VaultStub(identity.channel).EpochKeys, house.clock.monotonic),
            log=LogOfReadings(writer, database.stamp.source),
            buckets=Buckets(),
        )
        intake = Intake(ports, house.clock, house.keys.signer(NAME), Load(settings.shed_bytes), Meters(house.metrics))
        refusals = SqlRefusals(database)
        quarantine = LoggedQuarantine(house.event_log, ports.keys)
        releasing = Releasing(refusals, quarantine, house.keys.signer(NAME), ports)
        cursors = Cursors(house.keys.secret("ingestion/cursors"), "refusals")
        gateway = _gateway(settings, intake, house)
        if settings.role == "mqtt":
            yield Service(NAME, loops=gateway)
            return
        yield Service(
            NAME,
            routers=(
                batch_routes(intake, lambda token: house.wait(token, more={TWIN_PROFILE.name: profile_tail})),
                quarantine_routes(releasing, house.facts, cursors, house.clock),
            ),
            servicers=(IngestRpc(intake).register,),
            loops=(refusals_loop(house.event_log, refusals, house.clock, house.metrics), *gateway),
            checks=(database.check,),
            public_rpcs=PUBLIC_RPCS,
        )


def _gateway(settings: IngestionSettings, intake: Intake, house: House) -> tuple[Loop, ...]:
    """The loop of the MQTT gateway, if this process is one. Raises PLATFORM_INVALID_SETTING."""
    said = settings.mqtt
    if settings.role == "api" or (settings.role == "all" and not said.url.get_secret_value()):
        return ()
    topics = vouched(said.vouched)
    if isinstance(topics, str):
        raise PLATFORM_INVALID_SETTING.problem(name="DIDYMOS_INGESTION__MQTT__VOUCHED", detail=topics)
    return (Gateway(broker_of(said.url, said.client), said.share, topics, intake, house.metrics).run,)
