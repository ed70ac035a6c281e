"""Wires twin-state for its role. The only place that builds adapters."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from didymos_contracts.metrics import (
    ACCESS_DECISIONS_TOTAL,
    TWIN_FORECASTS_TOTAL,
    TWIN_MODELS_REFUSED_TOTAL,
    TWIN_PACKED_BYTES,
)
from didymos_contracts.topics import MODEL, TWIN_PROFILE
from didymos_did import Decision, Facts, GrantId, TwinId, Usage, parse_did
from didymos_kit.database.engine import Database
from didymos_kit.database.relay import Relay
from didymos_kit.dispatch import Dispatcher
from didymos_kit.eventlog import Tail, Writer
from didymos_kit.house import WAIT_SECONDS, House
from didymos_kit.http.paging import Cursors
from didymos_kit.service import Loop, Service, Servicer, Stopping
from didymos_privacy import Recipient
from didymos_readings import ProfileBook
from fastapi import APIRouter

from didymos_twin_state.adapters.announcer import LogAnnouncements
from didymos_twin_state.adapters.changes import ChangeFeed
from didymos_twin_state.adapters.evidence import ParcelProver
from didymos_twin_state.adapters.forecasts import ForecastBook
from didymos_twin_state.adapters.history import SqlHistory
from didymos_twin_state.adapters.hot import HotStore
from didymos_twin_state.adapters.models import ModelFiles, ModelTail
from didymos_twin_state.adapters.past import SqlPast
from didymos_twin_state.adapters.predictor import PackedPredictor
from didymos_twin_state.adapters.profiles import ProfileTail, sql_work
from didymos_twin_state.adapters.readings import open_stored
from didymos_twin_state.adapters.seals import VaultSeals, vault_of
from didymos_twin_state.adapters.search import SqlSearch
from didymos_twin_state.adapters.uses import GrantUses
from didymos_twin_state.adapters.write_log import TopicWrites
from didymos_twin_state.application.apply_batch import Partition
from didymos_twin_state.application.fold_history import Folder
from didymos_twin_state.application.forecast_twins import Forecasters, Rounds
from didymos_twin_state.application.make_forecast import Forecasting
from didymos_twin_state.application.permits import Permits
from didymos_twin_state.application.ports import StoredParcel
from didymos_twin_state.application.publish_profile import Publishers
from didymos_twin_state.application.publish_profile import Work as Publishing
from didymos_twin_state.application.read_history import Past
from didymos_twin_state.application.read_twin import Twins
from didymos_twin_state.application.track_twins import OTHER, Sources
from didymos_twin_state.application.write_twin import Pen
from didymos_twin_state.domain.reading import OpenParcel
from didymos_twin_state.entrypoints import (
    rest,
    rest_devices,
    rest_forecast,
    rest_history,
    rest_live,
    rest_profiles,
    rest_search,
    rest_units,
)
from didymos_twin_state.entrypoints.columns import MolarMasses
from didymos_twin_state.entrypoints.commands import Requests
from didymos_twin_state.entrypoints.consumer import Worker, WorkerPorts
from didymos_twin_state.entrypoints.device_orders import DeviceOrders
from didymos_twin_state.entrypoints.forecaster import Forecaster, ForecasterPorts
from didymos_twin_state.entrypoints.gate import Gate, GatePorts
from didymos_twin_state.entrypoints.grpc import TwinStateRpc
from didymos_twin_state.entrypoints.grpc_forecast import ForecastsRpc
from didymos_twin_state.entrypoints.grpc_history import HistoryRpc
from didymos_twin_state.entrypoints.grpc_search import TwinSearchRpc
from didymos_twin_state.entrypoints.live import LiveTwins
from didymos_twin_state.entrypoints.tickets import Tickets
from didymos_twin_state.entrypoints.upkeep import Retention, Upkeep
from didymos_twin_state.entrypoints.waiting import Arrivals
from didymos_twin_state.settings import TwinStateSettings

NAME: Final = "twin-state"
PERSONAL_MODELS: Final = "twin-state/personal-models"  # the secret whose public half sites seal parameters to


@dataclass(frozen=True, slots=True)
class _HouseConsents:
    """`Consents` from the tails of the house."""

    house: House

    def facts(self, twin: TwinId, usage: Mapping[GrantId, Usage]) -> Facts:
        return self.house.facts(twin, usage)


@dataclass(frozen=True, slots=True)
class _Made:
    """What all roles share."""

    house: House
    database: Database
    hot: HotStore
    history: SqlHistory
    seals: VaultSeals
    twins: Twins
    past: Past
    permits: Permits
    uses: GrantUses
    writer: Writer
    source: str
    book: ProfileBook
    profiles: Tail

    async def wait(self, token: str | None, seconds: float = WAIT_SECONDS) -> None:
        """Until what a consistency token names of identity, consent and profiles has arrived here."""
        await self.house.wait(token, seconds, {TWIN_PROFILE.name: self.profiles})

    @property
    def arrivals(self) -> Arrivals:
        return Arrivals(self.wait, self.twins, self.past, self.house.clock)

    @property
    def molar(self) -> MolarMasses:
        return MolarMasses(self.twins, self.book.known)

    @property
    def pen(self) -> Pen:
        return Pen(self.writes, self.hot, self.twins)

    @property
    def requests(self) -> Requests:
        return Requests(self.house.clock, self.house.ids)

    @property
    def writes(self) -> TopicWrites:
        return TopicWrites(self.writer, self.house.clock, self.source)


@asynccontextmanager
async def bootstrap(settings: TwinStateSettings, house: House) -> AsyncIterator[Service]:
    """The service in its role, ready to run."""
    role, name = settings.role, settings.member or uuid4().hex[:12]
    async with AsyncExitStack() as stack:
        made = await _made(stack, house, settings.wait_seconds)
        routers: list[APIRouter] = []
        servicers: list[Servicer] = []
        loops: list[Loop] = []
        if role in ("all", "worker"):
            worker = _worker(made, name)
            loops += [worker.run, _gate(made).run, _upkeep(made, worker, settings)]
        if role in ("all", "api", "live", "forecaster"):
            loops.append(made.uses.run)
        streams = None
        if role in ("all", "live"):
            feed = ChangeFeed(house.event_log, made.seals, name)
            streams = LiveTwins(feed, made.twins, made.permits, house.consent.changes, house.metrics)
            loops.append(feed.run)
            tickets = Tickets(house.keys.secret("twin-state/stream-tickets"), house.access)
            routers.append(rest_live.routes(rest_live.LiveRoutes(streams, tickets, made.arrivals)))
            orders = DeviceOrders(feed, made.twins, house.identity.enrolments, house.clock)
            routers.append(rest_devices.routes(orders, made.arrivals))
        if role in ("all", "api"):
            routers += [*_api(made), _publishing(made, settings, loops)]
        if role in ("all", "api", "live"):
            twins = TwinStateRpc(made.permits, made.pen, made.arrivals, made.requests, streams, made.book.known)
            servicers += [twins.register, HistoryRpc(made.permits, made.past, made.arrivals, made.molar).register]
            many = TwinSearchRpc(made.permits, made.twins, SqlSearch(made.database), made.arrivals)
            servicers.append(many.register)
        if role in ("all", "forecaster"):
            forecasting, book = await _forecasting(stack, made, settings.packed_megabytes << 20)
            loops.append(_forecaster(made, forecasting, book).run)
            routers.append(rest_forecast.routes(forecasting, made.arrivals))
            servicers.append(ForecastsRpc(forecasting).register)
        yield Service(NAME, tuple(routers), tuple(servicers), tuple(loops), (made.database.check,))


async def _made(stack: AsyncExitStack, house: House, seconds: float) -> _Made:
    database = await stack.enter_async_context(house.database(NAME))
    vault = await stack.enter_async_context(house.rpc("identity", NAME))
    writer = await stack.enter_async_context(house.event_log.writer(NAME))
    seals = VaultSeals(vault_of(vault), house.clock, house.identity.destroyed)
    hot, history = HotStore(house.hot), SqlHistory(database)
    uses = GrantUses(database, house.clock, house.consent.grants)
    await uses.load()
    tail = ProfileTail()
    profiles = await stack.enter_async_context(house.event_log.tail(TWIN_PROFILE.name, tail.apply))
    await profiles.ready()

    async def opened(stored: StoredParcel) -> OpenParcel | None:
        return await open_stored(stored, seals)

    return _Made(
        house, database, hot, history, seals, Twins(hot, history, seals, seconds),
        Past(history, SqlPast(database), opened, seals, seconds),
        Permits(_HouseConsents(house), uses, house.clock, _counted(house)), uses, writer, f"didymos://{house.org}/{NAME}",
        tail.book, profiles,
    )  # fmt: skip


def _counted(house: House) -> Callable[[Decision], None]:
    """Counts decisions by what they say."""
    allowed, denied = (
        house.metrics.counter(ACCESS_DECISIONS_TOTAL, service=NAME, outcome=outcome)
        for outcome in ("allowed", "denied")
    )

    def count(made: Decision) -> None:
        (allowed if made.allowed else denied).inc()

    return count


async def _forecasting(stack: AsyncExitStack, made: _Made, packed_bytes: int) -> tuple[Forecasting, ForecastBook]:
    """Ready once every registered model is known."""
    house, models = made.house, ModelTail()
    tail = await stack.enter_async_context(house.event_log.tail(MODEL.name, models.apply))
    await tail.ready()
    recipient = Recipient(house.keys.secret(PERSONAL_MODELS))
    packed = house.metrics.gauge(TWIN_PACKED_BYTES)
    predictor = PackedPredictor(ModelFiles(house.files), recipient, packed_bytes, packed.set)
    book = ForecastBook(made.database, made.writer, made.seals, house.clock, made.source)
    return Forecasting(made.twins, made.past, models, predictor, book, made.permits, house.clock), book


def _forecaster(made: _Made, forecasting: Forecasting, book: ForecastBook) -> Forecaster:
    house, metrics = made.house, made.house.metrics
    reasons = ("model_missing", "model_unreadable", "past_too_short", "gap", "not_finite", OTHER)
    refused = {reason: metrics.counter(TWIN_MODELS_REFUSED_TOTAL, reason=reason) for reason in reasons}
    spoke = {who: metrics.counter(TWIN_FORECASTS_TOTAL, outcome=who) for who in ("personal", "shared", "none")}
    sources = Sources(
        made.twins, made.past, forecasting.models, forecasting.predictor, house.clock.monotonic,
        lambda reason: refused.get(reason, refused[OTHER]).inc(),
    )  # fmt: skip
    rounds = Rounds(Forecasters(sources, book, made.writes, house.clock, made.source, lambda who: spoke[who].inc()))
    return Forecaster(ForecasterPorts(house.event_log, made.seals, rounds, house.clock, metrics))


def _worker(made: _Made, name: str) -> Worker:
    news = LogAnnouncements(made.writer, made.seals, made.house.clock, made.source)
    profiles = made.book.known

    def partition(number: int) -> Partition:
        return Partition(number, made.hot, made.history, made.seals, news, profiles)

    house = made.house
    ports = WorkerPorts(house.event_log, partition, made.seals, made.seals.warm, house.clock, house.metrics)
    return Worker(ports, name)


def _upkeep(made: _Made, worker: Worker, settings: TwinStateSettings) -> Loop:
    past, house = made.past, made.house
    retention = Retention(
        settings.keep_parcels_days, settings.keep_series_days, settings.keep_minutes_days, settings.keep_rollups_days
    )
    folder = Folder(past.past, past.opened, made.seals)
    upkeep = Upkeep(folder, worker.parts, retention, made.book.known, house.clock, house.metrics)

    async def run(stopping: Stopping) -> None:
        await upkeep.run(stopping, settings.upkeep_seconds)

    return run


def _gate(made: _Made) -> Gate:
    house = made.house
    ports = GatePorts(
        house.event_log, made.database, made.writes, made.twins, house.facts, house.clock, made.source, made.book.known
    )
    return Gate(ports, house.metrics)


def _api(made: _Made) -> list[APIRouter]:
    house = made.house
    secret = house.keys.secret("twin-state/cursors")
    twins = rest.TwinRoutes(made.permits, made.pen, made.arrivals, made.requests, made.book.known)
    prover = ParcelProver(made.history, made.seals)
    past = rest_history.HistoryRoutes(
        made.permits, made.past, made.arrivals, Cursors(secret, "history"), prover, made.molar
    )
    many = rest_search.SearchRoutes(
        made.permits,
        made.twins,
        SqlSearch(made.database),
        made.arrivals,
        Cursors(secret, "twins"),
        made.book.known,
    )
    return [rest.routes(twins), rest_search.routes(many), rest_history.routes(past), rest_units.routes()]


def _publishing(made: _Made, settings: TwinStateSettings, loops: list[Loop]) -> APIRouter:
    """The routes of profiles; `loops` gets the relay of what they publish. Raises DidError for what is no DID."""
    house = made.house
    relay = Relay(made.database, house.event_log, house.clock, house.metrics)
    loops.append(relay.run)
    dispatch: Dispatcher[Publishing] = Dispatcher(made.database, lambda tx: sql_work(tx, house.clock.now_us()), relay)
    named = frozenset({house.org, *map(parse_did, settings.publishers)})
    publishers = Publishers(named, house.identity.suspended)
    return rest_profiles.routes(rest_profiles.ProfileRoutes(made.book, dispatch, publishers, made.wait))
