"""The one place that builds the adapters of this service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from didymos_contracts.metrics import (
    ACCESS_DECISIONS_TOTAL,
    IDENTITY_GRANTS_TOTAL,
    IDENTITY_KEYS_DESTROYED_TOTAL,
    IDENTITY_TOKENS_TOTAL,
    IDENTITY_TWINS_TOTAL,
)
from didymos_did import Did, parse_did
from didymos_kit.access import Guard
from didymos_kit.database.engine import Database
from didymos_kit.database.relay import Relay
from didymos_kit.dispatch import Dispatcher
from didymos_kit.house import House
from didymos_kit.http.paging import Cursors
from didymos_kit.service import Service
from didymos_kit.telemetry.metrics import Counter, Metrics

from didymos_identity.adapters.token_keys import ProcessTokenKey
from didymos_identity.adapters.vault import SqlVault
from didymos_identity.adapters.work import sql_reads, sql_work
from didymos_identity.application.exchange_token import Issuing
from didymos_identity.application.ports import Reads
from didymos_identity.entrypoints import grpc, loops, rest, tokens
from didymos_identity.entrypoints.surface import Counts, Desk, Reading, Trusted
from didymos_identity.entrypoints.watch import Watches
from didymos_identity.settings import IdentitySettings

NAME: Final = "identity"


@asynccontextmanager
async def bootstrap(settings: IdentitySettings, house: House) -> AsyncIterator[Service]:
    """The identity service of `house`."""
    async with house.database(NAME) as database, house.database(f"{NAME}.vault", erasing=True) as keys:
        relay = Relay(database, house.event_log, house.clock, house.metrics)
        trusted = _trusted(settings, house)
        desk = Desk(
            Dispatcher(database, sql_work, relay, settings.placed_within_seconds),
            _reading(database),
            SqlVault(keys, house.keys.secret("vault")),
            house.clock,
            trusted,
            _counts(house.metrics),
        )
        issuer = house.keys.did(NAME)
        token_key = ProcessTokenKey(issuer, house.identity, house.clock)
        issuing = Issuing(issuer, house.origin, house.access.replays, house.identity.suspended, token_key)
        door = tokens.TokenDesk(issuing, desk.counts, house.clock, house.ids)
        heart = loops.Heart(
            relay, house.event_log, f"didymos://{house.org}/{NAME}", house.clock, house.ids, settings.heartbeat_seconds
        )
        watches = Watches(house.consent, house.identity, trusted, house.clock)
        yield Service(
            NAME,
            routers=(
                rest.documents(),
                rest.twins(desk),
                rest.devices(desk),
                rest.grants(desk, Cursors(house.keys.secret("cursors"), "grants")),
                rest.subjects(desk),
                tokens.routes(door, Guard(NAME, house.access)),
            ),
            servicers=grpc.servicers(desk, door, watches, house.facts),
            loops=(relay.run, heart.run, loops.token_keys(desk, token_key), loops.upkeep(desk)),
            checks=(database.check, keys.check),
            public_rpcs=frozenset({grpc.EXCHANGE, grpc.RESOLVE}),
        )


def _reading(database: Database) -> Reading:
    @asynccontextmanager
    async def reading() -> AsyncIterator[Reads]:
        async with database.read() as connection:
            yield sql_reads(connection)

    return reading


def _trusted(settings: IdentitySettings, house: House) -> Trusted:
    def of(names: tuple[str, ...]) -> frozenset[Did]:
        return frozenset(house.keys.did(name) for name in names)

    own = (house.org,)
    return Trusted(
        frozenset(map(parse_did, settings.administrators or own)),
        of(settings.vault_readers),
        of(settings.deciding),
        of(settings.credential_keepers),
        frozenset(map(parse_did, settings.organisations or own)),
    )


def _counts(metrics: Metrics) -> Counts:
    def grants(change: str) -> Counter:
        return metrics.counter(IDENTITY_GRANTS_TOTAL, change=change)

    return Counts(
        metrics.counter(IDENTITY_TWINS_TOTAL),
        grants("registered"),
        grants("revoked"),
        grants("expired"),
        metrics.counter(IDENTITY_KEYS_DESTROYED_TOTAL),
        metrics.counter(IDENTITY_TOKENS_TOTAL, outcome="issued"),
        metrics.counter(IDENTITY_TOKENS_TOTAL, outcome="refused"),
        metrics.counter(ACCESS_DECISIONS_TOTAL, service=NAME, outcome="allowed"),
        metrics.counter(ACCESS_DECISIONS_TOTAL, service=NAME, outcome="denied"),
    )
