"""What a process gives each of its services: log, databases, hot store, files, keys, tails, peers. platform.md 3.

`House.embedded(folder)` needs no server; `House.servers(settings)` speaks to Kafka, PostgreSQL and Redis. Nothing else
differs: every bootstrap takes either.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from didymos_contracts.errors.platform import (
    PLATFORM_DEADLINE,
    PLATFORM_MALFORMED,
    PLATFORM_SCHEMA_BEHIND,
    PLATFORM_UNAVAILABLE,
)
from didymos_contracts.metrics import CONSENT_STALENESS_SECONDS, PROCESS_DISK_FREE_RATIO
from didymos_contracts.topics import CONSENT, HEARTBEAT, IDENTITY, TOPICS, Topic
from didymos_did import Did, Facts, Freshness, GrantId, SubjectStatus, TwinId, Usage

from didymos_kit import log
from didymos_kit.access import Access, LocalReplays, Replays
from didymos_kit.clock import Clock, SystemClock
from didymos_kit.database.engine import Database, is_away, postgres_engine, sqlite_engine
from didymos_kit.database.migrate import Migrations, migrations_of, schema_of, upgrade
from didymos_kit.database.relay import TOKEN_PREFIX
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.eventlog.kafka import KafkaLog
from didymos_kit.eventlog.metered import MeteredLog
from didymos_kit.eventlog.port import EventLog, Position, Tail, TailHaltedError
from didymos_kit.eventlog.sqlite import SqliteLog
from didymos_kit.files import Files, FolderFiles
from didymos_kit.hot.fake import fake_hot
from didymos_kit.hot.port import Hot, Script
from didymos_kit.hot.redis import RedisHot
from didymos_kit.hot.replays import HotReplays
from didymos_kit.house_settings import HouseSettings
from didymos_kit.ids import Ids, OrderedIds
from didymos_kit.keyring import KeyRing, open_keyring
from didymos_kit.rpc.client import Peer, Target
from didymos_kit.rpc.tokens import ExchangedTokens
from didymos_kit.service import Check
from didymos_kit.tails import ConsentTail, IdentityTail
from didymos_kit.telemetry.metrics import Metrics

WAIT_SECONDS: Final = 2.0
SILENT_SECONDS: Final = 10.0  # the log is asked each second
_ANSWER: Final = Script("return 1")
_NO_USAGE: Final[Mapping[GrantId, Usage]] = MappingProxyType({})
_NO_TAILS: Final[Mapping[Topic, Tail]] = MappingProxyType({})
_SUSPENDED: Final = SubjectStatus.SUSPENDED


@dataclass(frozen=True, slots=True)
class Where:
    """Where this house is reached: the origin of its URLs, and the gRPC address of each service."""

    origin: str
    rpc: str  # host:port of whatever `peers` does not name
    peers: Mapping[str, str] = field(default_factory=dict)

    def address(self, service: str) -> str:
        return self.peers.get(service, self.rpc)


@dataclass(frozen=True, slots=True)
class Tails:
    """The two tails that every process has."""

    identity: Tail
    consent: Tail


@dataclass(frozen=True, slots=True)
class House:
    """One per process."""

    clock: Clock
    ids: Ids
    metrics: Metrics
    where: Where
    keys: KeyRing
    event_log: EventLog
    identity: IdentityTail
    consent: ConsentTail
    tails: Tails
    files: Files
    hot: Hot
    access: Access
    open_database: Callable[[str, bool], AbstractAsyncContextManager[Database]]

    @property
    def org(self) -> Did:
        """The organisation that operates this house: the audience of batches."""
        return self.keys.organisation.did

    @property
    def origin(self) -> str:
        return self.where.origin

    @property
    def checks(self) -> Mapping[str, Check]:
        """Readiness of what every service stands on."""
        return {"log": self._log_answers, "hot store": self._hot_answers}

    async def _log_answers(self) -> str | None:
        silent = max(self.tails.identity.staleness(), self.tails.consent.staleness())
        return f"not read for {silent:.0f} s" if silent > SILENT_SECONDS else None

    async def _hot_answers(self) -> str | None:
        await self.hot.run(_ANSWER, ["didymos:readiness"], [])
        return None

    def database(self, name: str, *, erasing: bool = False) -> AbstractAsyncContextManager[Database]:
        """`identity`, or `identity.vault`. `erasing`: deleted content is overwritten on disk."""
        return self.open_database(name, erasing)

    @asynccontextmanager
    async def rpc(self, peer: str, caller: str, purpose: str = "") -> AsyncIterator[Peer]:
        """Calls to service `peer` as the DID of service `caller`; tokens are fetched and renewed behind it."""
        where, clock, ids = self.where, self.clock, self.ids
        async with Peer(Target(where.address("identity"), where.origin, "identity"), clock, ids) as open_door:
            tokens = ExchangedTokens(self.keys.signer(caller), open_door, where.origin, clock, ids, purpose)
            target = Target(where.address(peer), where.origin, peer)
            async with Peer(target, clock, ids, tokens) as connected:
                yield connected

    def facts(self, twin: TwinId, usage: Mapping[GrantId, Usage] = _NO_USAGE) -> Facts:
        """What `decide` asks for, from the tails, now."""
        ownership, grants = self.identity.ownership(twin), self.consent.grants(twin)
        named = {grant.grantee for grant in grants}
        if ownership.owner is not None:
            named.add(ownership.owner)
        out = {did: _SUSPENDED for did in named if self.identity.suspended(did)}
        return Facts(ownership, grants, Freshness.FRESH if self.consent.fresh else Freshness.STALE, out, usage)

    async def wait(
        self, token: str | None, seconds: float = WAIT_SECONDS, more: Mapping[Topic, Tail] = _NO_TAILS
    ) -> None:
        """Until the parts `i..` and `c..` of a consistency token are in the tails, and those of `more` in theirs.

        Others are for who owns them.

        Raises PLATFORM_MALFORMED, PLATFORM_DEADLINE, PLATFORM_UNAVAILABLE when a tail halted.
        """
        if not token:
            return
        found = parse_token(token)
        try:
            async with asyncio.timeout(seconds):
                await self.tails.identity.wait([Position(IDENTITY.name, *at) for at in found.get("i", ())])
                await self.tails.consent.wait([Position(CONSENT.name, *at) for at in found.get("c", ())])
                for topic, tail in more.items():
                    await tail.wait([Position(topic, *at) for at in found.get(TOKEN_PREFIX[topic], ())])
        except TimeoutError:
            raise PLATFORM_DEADLINE.problem(detail="what the consistency token names has not arrived") from None
        except TailHaltedError as error:
            raise PLATFORM_UNAVAILABLE.problem(dependency="the tails of the log") from error

    @staticmethod
    def embedded(
        folder: Path, where: Where, *, keys: KeyRing | None = None, clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> "AbstractAsyncContextManager[House]":  # fmt: skip
        """Everything in `folder`, in this process. Raises `platform.folder_locked` while another one has it."""
        return _embedded(folder, where, keys, clock or SystemClock(), metrics or Metrics())

    @staticmethod
    def servers(
        settings: HouseSettings, process: str, metrics: Metrics | None = None
    ) -> "AbstractAsyncContextManager[House]":
        """With Kafka, PostgreSQL and Redis. `process` names this one to them: a stable name keeps its partitions."""
        return _servers(settings, process, metrics or Metrics())


def parse_token(token: str) -> dict[str, tuple[tuple[int, int], ...]]:
    """`3:91822,i3:88` by prefix: "" readings, w writes, i identity, c consent, p profiles.

    Raises PLATFORM_MALFORMED.
    """
    found: dict[str, tuple[tuple[int, int], ...]] = {}
    for part in token.split(",") if len(token) <= 4096 else [""]:
        place = part.strip()
        prefix, rest = (place[:1], place[1:]) if place[:1].isalpha() else ("", place)
        partition, colon, offset = rest.partition(":")
        if not (colon and partition.isascii() and partition.isdigit() and offset.isascii() and offset.isdigit()):
            raise PLATFORM_MALFORMED.problem(pointer="Consistency-Token:", detail="partition:offset[,...] is expected")
        if len(partition) > 5 or len(offset) > 18:
            raise PLATFORM_MALFORMED.problem(pointer="Consistency-Token:", detail="no such place")
        found[prefix] = (*found.get(prefix, ()), (int(partition), int(offset)))
    return found


@asynccontextmanager
async def _embedded(
    folder: Path, where: Where, keys: KeyRing | None, clock: Clock, metrics: Metrics
) -> AsyncIterator[House]:
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    ids = OrderedIds(clock)
    async with SqliteLog(folder / "log.db", clock=clock) as event_log, fake_hot() as hot:
        ring = keys or open_keyring(folder / "house.key")

        @asynccontextmanager
        async def database(name: str, erasing: bool) -> AsyncIterator[Database]:  # noqa: FBT001 - fills the field of House
            engine = sqlite_engine(folder / "db" / f"{name}.db", erasing=erasing)
            migrations = migrations_of(name)
            await upgrade(engine, migrations)
            async with Database(engine, name.partition(".")[0], _stamp(ring, name, clock, ids), migrations) as opened:
                yield opened

        files = FolderFiles(folder / "files")
        metrics.watch(PROCESS_DISK_FREE_RATIO, files.free_ratio)
        async with _house(
            _Parts(clock, ids, metrics, where, ring, event_log, files, hot, LocalReplays(), database)
        ) as made:
            yield made


@asynccontextmanager
async def _servers(settings: HouseSettings, process: str, metrics: Metrics) -> AsyncIterator[House]:
    clock = SystemClock()
    ids = OrderedIds(clock)
    where = Where(settings.origin, f"{settings.host}:{settings.grpc_port}", settings.peers)
    ring = settings.keyring()
    log_of = KafkaLog(
        settings.kafka_url, client=process, member=settings.member, replicas=settings.kafka_replicas, metrics=metrics
    )
    async with log_of as event_log, RedisHot.at(settings.redis()) as hot:

        @asynccontextmanager
        async def database(name: str, erasing: bool) -> AsyncIterator[Database]:  # noqa: ARG001, FBT001 - as embedded
            schema, migrations, url = schema_of(name), migrations_of(name), settings.postgres()
            if settings.migrate:
                await _migrated(url, schema, migrations)
            engine = postgres_engine(url, schema)
            async with Database(engine, name.partition(".")[0], _stamp(ring, name, clock, ids), migrations) as opened:
                if await opened.check() is not None:
                    raise PLATFORM_SCHEMA_BEHIND.problem(database=name)
                yield opened

        files = FolderFiles(settings.files)
        metrics.watch(PROCESS_DISK_FREE_RATIO, files.free_ratio)
        parts = _Parts(clock, ids, metrics, where, ring, event_log, files, hot, HotReplays(hot), database)
        async with _house(parts, make_topics=settings.migrate) as made:
            yield made


async def _migrated(url: str, schema: str, migrations: Migrations) -> None:
    """To head. Raises PLATFORM_UNAVAILABLE."""
    engine = postgres_engine(url, schema, pooled=False)
    try:
        await upgrade(engine, migrations, schema)
    except Exception as error:
        if is_away(error):
            raise PLATFORM_UNAVAILABLE.problem(dependency="database") from error
        raise
    finally:
        await engine.dispose()


@dataclass(frozen=True, slots=True)
class _Parts:
    clock: Clock
    ids: Ids
    metrics: Metrics
    where: Where
    keys: KeyRing
    event_log: EventLog
    files: Files
    hot: Hot
    replays: Replays
    database: Callable[[str, bool], AbstractAsyncContextManager[Database]]


@asynccontextmanager
async def _house(parts: _Parts, *, make_topics: bool = True) -> AsyncIterator[House]:
    """The topics, the tails that every process has, and the house around them."""
    if make_topics:
        await parts.event_log.ensure(TOPICS)
    else:
        await parts.event_log.ends([row.name for row in TOPICS])  # raises while one is missing
    identity, consent = IdentityTail(parts.clock), ConsentTail(parts.clock, parts.metrics)
    secret, issuer = parts.keys.secret("dpop-nonce"), parts.keys.did("identity")
    access = Access(parts.where.origin, identity, parts.replays, secret, parts.clock, issuer)
    event_log = MeteredLog(parts.event_log, parts.metrics)
    parts.metrics.watch(CONSENT_STALENESS_SECONDS, consent.staleness_seconds)
    async with (
        event_log.tail(IDENTITY.name, identity.apply) as identity_tail,
        event_log.tail(CONSENT.name, consent.apply) as consent_tail,
        event_log.tail(HEARTBEAT.name, consent.beat),
    ):
        await identity_tail.ready()
        await consent_tail.ready()
        measuring = asyncio.create_task(_measured(consent, consent_tail, identity_tail), name="consent freshness")
        try:
            yield House(
                parts.clock, parts.ids, parts.metrics, parts.where, parts.keys, event_log, identity, consent,
                Tails(identity_tail, consent_tail), parts.files, parts.hot, access, parts.database,
            )  # fmt: skip
        finally:
            measuring.cancel()
            await asyncio.wait([measuring])


async def _measured(consent: ConsentTail, consent_tail: Tail, identity_tail: Tail) -> None:
    try:
        await consent.measure(consent_tail, identity_tail)
    except* TailHaltedError:  # stale from now on, and stale means deny
        log.get().error("consent.tail_halted")


def _stamp(ring: KeyRing, name: str, clock: Clock, ids: Ids) -> Stamp:
    return Stamp(f"didymos://{ring.organisation.did}/{name.partition('.')[0]}", clock, ids)
