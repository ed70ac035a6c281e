"""The one place that builds the adapters of this service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from uuid import uuid4

from didymos_contracts.metrics import TRAINING_SITES, TRAINING_UPDATE_BYTES
from didymos_did import parse_did
from didymos_kit.database.engine import Database
from didymos_kit.database.idempotency_table import SqlAnswers
from didymos_kit.database.relay import Relay
from didymos_kit.dispatch import Dispatcher
from didymos_kit.house import House
from didymos_kit.http.paging import Cursors
from didymos_kit.service import Loop, Service, Servicer
from didymos_privacy import Recipient

from didymos_training_orchestration.adapters.agreements import MarketAgreements
from didymos_training_orchestration.adapters.attendance import Attendance
from didymos_training_orchestration.adapters.chunk_work import CPU, CUDA
from didymos_training_orchestration.adapters.client_states import ClientStates
from didymos_training_orchestration.adapters.inline_clients import InlineTrainer
from didymos_training_orchestration.adapters.journal import SqlJournal
from didymos_training_orchestration.adapters.judging import TorchJudge
from didymos_training_orchestration.adapters.masked_attempt import Desk, Patience
from didymos_training_orchestration.adapters.mathematics import TorchMathematics
from didymos_training_orchestration.adapters.meters import HouseMeters
from didymos_training_orchestration.adapters.objects import FileObjects, PieceOf, Uploads
from didymos_training_orchestration.adapters.orders import OrderBook
from didymos_training_orchestration.adapters.ray_clients import RayTrainer
from didymos_training_orchestration.adapters.simulated_clients import SimulatedClients, load_clients
from didymos_training_orchestration.adapters.site_clients import SiteClients
from didymos_training_orchestration.adapters.work import SqlUnits, sql_work
from didymos_training_orchestration.application.ports import Clients
from didymos_training_orchestration.application.world import SECOND_US, Pace, World
from didymos_training_orchestration.domain.run import ClientsKind
from didymos_training_orchestration.entrypoints import grpc, rest, rest_erasure
from didymos_training_orchestration.entrypoints.driver import Driver, Shift
from didymos_training_orchestration.entrypoints.erasing import Erasing
from didymos_training_orchestration.entrypoints.judging import Judging
from didymos_training_orchestration.entrypoints.measuring import Measuring
from didymos_training_orchestration.settings import PaceSettings, SimulationSettings, TrainingSettings

NAME: Final = "training-orchestration"
PERSONAL_MODELS: Final = "twin-state/personal-models"  # twin-state opens what is sealed to this secret's public half
FETCHERS: Final = ("twin-state", "ledger", "steward")  # services of this house that may fetch objects by digest


@asynccontextmanager
async def bootstrap(settings: TrainingSettings, house: House) -> AsyncIterator[Service]:
    """Role `worker` drives runs and is dialled by sites, `api` serves REST, `all` does both."""
    async with house.database(NAME) as database, AsyncExitStack() as stack:
        relay = Relay(database, house.event_log, house.clock, house.metrics)
        dispatch = Dispatcher(database, sql_work, relay, settings.placed_within_seconds)
        attendance = Attendance(house.metrics.gauge(TRAINING_SITES))
        agreements = MarketAgreements(house, NAME)
        clients: dict[ClientsKind, Clients] = {}
        servicers: list[Servicer] = [grpc.RunsRpc(dispatch, agreements, house.clock, house.ids).register]
        loops: list[Loop] = [relay.run, Measuring(SqlUnits(database), house.metrics).run]
        if settings.role != "api":
            objects = FileObjects(house.files)
            clients["sites"] = SiteClients(_desk(settings.pace, house, database, attendance, objects))
            states = ClientStates(house.files)
            simulated = await _simulated(settings.simulation, stack, states)
            if simulated is not None:
                clients["simulated"] = simulated
            servicers.append(_rounds(settings, house, attendance, objects).register)
            mathematics = TorchMathematics(settings.validation)
            loops.append(_driver(settings, house, database, clients, objects, mathematics).run)
            judge = TorchJudge(mathematics, settings.simulation.source)
            loops.append(Judging(judge, SqlUnits(database), objects).run)
            loops.append(Erasing(house.identity.erased, SqlUnits(database), objects, house.clock).run)
        routers = (*rest.routes(rest.Desk(
            dispatch, SqlUnits(database), agreements, clients, house, house.identity.owner_of,
            lambda: _attending(attendance), SqlAnswers(database), Cursors(house.keys.secret("cursor"), "runs"),
            house.clock, house.ids, house.wait, asyncio.sleep, FileObjects(house.files).get, settings.poll_seconds,
        )), rest_erasure.owned(
            SqlUnits(database), house.identity.owner_of, house.identity.destroyed, house.clock
        )) if settings.role != "worker" else ()  # fmt: skip
        yield Service(NAME, tuple(routers), tuple(servicers), tuple(loops), checks=(database.check,))


def _desk(pace: PaceSettings, house: House, database: Database, attendance: Attendance, objects: FileObjects) -> Desk:
    patience = Patience(
        pace.setup_seconds, pace.mask_seconds, pace.confirm_seconds, pace.unmask_seconds, pace.gather_seconds
    )
    book = OrderBook(house.keys.signer(NAME), Recipient(house.keys.secret(PERSONAL_MODELS)).public)
    return Desk(attendance, SqlJournal(database), objects, book, patience)


async def _simulated(
    settings: SimulationSettings, stack: AsyncExitStack, states: ClientStates
) -> SimulatedClients | None:
    """Simulated clients, if there is a source of series for them. Their task is glucose as yet."""
    if settings.source is None:
        return None
    from didymos_learning import GLUCOSE_TASK

    people = await asyncio.to_thread(load_clients, settings.source, GLUCOSE_TASK)
    if settings.engine == "inline":
        return SimulatedClients(
            len(people),
            settings.clients_per_chunk,
            InlineTrainer(people, CUDA if settings.gpus_per_worker else CPU),
            states,
        )
    trainer = await stack.enter_async_context(
        RayTrainer(settings.source, settings.workers, settings.ray_address, settings.gpus_per_worker)
    )
    return SimulatedClients(len(people), settings.clients_per_chunk, trainer, states)


def _rounds(settings: TrainingSettings, house: House, attendance: Attendance, objects: FileObjects) -> grpc.RoundsRpc:
    organisations = tuple(parse_did(name) for name in settings.organisations) or (house.org,)
    services = frozenset(house.keys.did(name) for name in FETCHERS)
    sizes = house.metrics.histogram(TRAINING_UPDATE_BYTES)
    uploads = Uploads(objects, settings.object_limit_bytes, sizes=sizes)
    return grpc.RoundsRpc(attendance, uploads, objects, PieceOf, organisations, services, house.clock)


def _driver(
    settings: TrainingSettings, house: House, database: Database, clients: dict[ClientsKind, Clients],
    objects: FileObjects, mathematics: TorchMathematics,
) -> Driver:  # fmt: skip
    pace = Pace(
        int(settings.pace.first_training_seconds * SECOND_US), settings.pace.gather_seconds,
        int(settings.pace.personal_seconds * SECOND_US),
    )  # fmt: skip
    world = World(
        SqlUnits(database), clients, house, objects, mathematics, house.clock, HouseMeters(house.metrics), pace
    )
    return Driver(world, Shift(str(uuid4()), settings.poll_seconds, settings.lease_seconds, database.is_sqlite))


def _attending(attendance: Attendance) -> dict[str, dict[str, object]]:
    return {
        site: {"subjects": hello.subjects, "twins": len(hello.twins), "task": hello.task}
        for site, hello in attendance.sites.items()
    }
