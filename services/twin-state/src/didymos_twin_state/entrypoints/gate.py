"""The gate's consumer: proposals of stewards and registered models become writes, or are refused. data-path.md 8."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID, uuid5

from didymos.identity.v1.identity_events_pb2 import TwinKeyDestroyed
from didymos.training.v1.training_events_pb2 import ModelRegistered
from didymos.training.v1.training_types_pb2 import MODEL_KIND_PERSONAL
from didymos.twin.v1 import twin_events_pb2 as events
from didymos_contracts.errors import catalogue_row
from didymos_contracts.topics import IDENTITY, MODEL, TWIN_CHANGED, TWIN_COMMAND
from didymos_did import Action, Did, Facts, GrantId, TwinId
from didymos_kit.clock import Clock
from didymos_kit.database.engine import Database
from didymos_kit.database.seen import insert_missing
from didymos_kit.eventlog import EventLog, Record, Stored, Writer, envelope
from didymos_kit.eventlog.consume import Consumer, consume
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics
from didymos_readings import Profile
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_twin_state.adapters.protobuf import value_of
from didymos_twin_state.adapters.tables import COMMANDS
from didymos_twin_state.adapters.uses import command_usage
from didymos_twin_state.application.gate_proposal import Proposal, Refusal, Spent, gate_proposal, write_of
from didymos_twin_state.application.read_twin import Twins
from didymos_twin_state.application.write_twin import WriteLog
from didymos_twin_state.domain.command import AttachModel, Command, SetLifecycle
from didymos_twin_state.domain.twin import Lifecycle, Model

GROUP: Final = "twin-state.gate"
TOPICS: Final = (TWIN_COMMAND.name, MODEL.name, IDENTITY.name)
_IDS: Final = UUID("8b0a4a37-8a0c-5d0f-b1a3-3f9f7c0d2e44")  # the name space of commands the gate makes itself
LEARNING: Final = frozenset({Action.TRAIN, Action.DERIVE})


@dataclass(frozen=True, slots=True)
class GatePorts:
    """What the gate works with. `facts`: what is known of a twin and its grants now; `source` names this service."""

    event_log: EventLog
    database: Database
    writes: WriteLog
    twins: Twins
    facts: Callable[[TwinId], Facts]
    clock: Clock
    source: str
    profiles: Mapping[str, Profile]


class Gate:
    """`run` it as a loop. Every effect repeats under the same id, so a record that comes twice has one effect."""

    def __init__(self, ports: GatePorts, metrics: Metrics) -> None:
        self._ports = ports
        self._metrics = metrics
        self._refusals: Writer | None = None

    async def run(self, stopping: Stopping) -> None:
        async with self._ports.event_log.writer("twin-state.gate") as self._refusals:
            consumer = Consumer(GROUP, TOPICS, self.handle, metrics=self._metrics)
            await consume(self._ports.event_log, consumer, self._ports.clock, stopping)

    async def handle(self, records: Sequence[Stored]) -> None:
        """Raises for bytes that are none of these events, and what the log or database raises while they are away."""
        for record in records:
            if record.value is None:
                continue
            match envelope.event_type(record.headers).rpartition(".")[2]:
                case "CommandProposed":
                    await self._proposed(record, events.CommandProposed.FromString(record.value))
                case "ModelRegistered":
                    await self._registered(ModelRegistered.FromString(record.value))
                case "TwinKeyDestroyed":
                    await self._destroyed(TwinKeyDestroyed.FromString(record.value))
                case _:
                    pass

    async def _proposed(self, record: Stored, said: events.CommandProposed) -> None:
        if len(said.command_id) != 16:
            raise ValueError("the id of a command has 16 bytes")
        state = await self._ports.twins.state(TwinId(Did(said.twin)))
        held = state.desired.get(said.property)
        proposal = Proposal(
            said.command_id, TwinId(Did(said.twin)), Did(said.actor), said.property, value_of(said.value), said.unit,
            GrantId(said.grant_id), said.expires_at_us, record.offset + 1,
            takes_back=bool(said.undoes) and held is not None and held.grant == said.grant_id,
        )  # fmt: skip
        profile, now_us = self._ports.profiles.get(state.profile), self._ports.clock.now_us()
        async with self._ports.database.unit_of_work() as tx:
            decided = await _decided(tx.connection, proposal.id)
            if decided is None:
                used = await command_usage(tx.connection, proposal.grant, now_us)
                found = gate_proposal(proposal, self._ports.facts, Spent(*used), self._ports.clock, profile)
                await insert_missing(tx.connection, COMMANDS, [_decision(proposal, found, now_us)])
        outcome = found if decided is None else self._again(proposal, decided)
        if isinstance(outcome, Refusal):
            await self._refuse(proposal, outcome)
        elif outcome is not None:
            await self._ports.writes.append(outcome)

    def _again(self, proposal: Proposal, decided: Row[Any]) -> Command | Refusal | None:
        """What was decided before, whatever holds now. None for a write whose grant is long gone: it is in the log."""
        if decided.code:
            return Refusal(catalogue_row(decided.code), decided.detail)
        grants = self._ports.facts(proposal.twin).grants
        grant = next((each for each in grants if each.id == proposal.grant), None)
        first = replace(proposal, place=decided.place)
        return None if grant is None else write_of(first, grant, decided.at_us).command

    async def _refuse(self, proposal: Proposal, refusal: Refusal) -> None:
        if self._refusals is None:
            raise RuntimeError("the gate is not running")
        event = events.CommandRefused(
            twin=proposal.twin, command_id=proposal.id, code=refusal.row.code, detail=refusal.detail
        )
        event_id = str(uuid5(_IDS, f"refused|{proposal.id.hex()}"))
        now = self._ports.clock.now()
        said = envelope.Envelope(event_id, self._ports.source, event.DESCRIPTOR.full_name, now, proposal.twin)
        value = event.SerializeToString(deterministic=True)
        at_ms = self._ports.clock.now_us() // 1000
        await self._refusals.append(
            [Record(TWIN_CHANGED.name, proposal.twin.encode(), value, envelope.build(said), at_ms)]
        )

    async def _registered(self, said: ModelRegistered) -> None:
        """A personal model serves its twin if a grant in force lets somebody learn of this twin at all."""
        if said.kind != MODEL_KIND_PERSONAL or not said.twin:
            return
        facts, now = self._ports.facts(TwinId(Did(said.twin))), self._ports.clock.now()
        learns = any(
            LEARNING & set(grant.terms.actions) and grant.terms.valid_from <= now < grant.terms.valid_until
            for grant in facts.grants
        )
        if facts.ownership.owner is None or facts.ownership.erased or not learns:
            return
        body = AttachModel(Model(said.model_id, said.task, personal=True))
        await self._ports.writes.append(self._own(f"model|{said.model_id}", said.twin, body))

    async def _destroyed(self, said: TwinKeyDestroyed) -> None:
        """What cannot be opened any more is not kept either."""
        await self._ports.writes.append(self._own(f"erased|{said.twin}", said.twin, SetLifecycle(Lifecycle.ERASED)))

    def _own(self, name: str, twin: str, body: AttachModel | SetLifecycle) -> Command:
        return Command(uuid5(_IDS, name).bytes, twin, self._ports.source, "", self._ports.clock.now_us(), body)


async def _decided(connection: AsyncConnection, command: bytes) -> Row[Any] | None:
    """How a proposal was decided, if it was."""
    return (await connection.execute(select(COMMANDS).where(COMMANDS.c.command_id == command))).one_or_none()


def _decision(proposal: Proposal, found: Command | Refusal, now_us: int) -> dict[str, object]:
    """The row of a proposal, which is decided once: a repeat gets the same answer."""
    code, detail = (found.row.code, found.detail) if isinstance(found, Refusal) else ("", "")
    return {
        "command_id": proposal.id, "grant_id": proposal.grant, "at_us": now_us, "place": proposal.place, "code": code,
        "detail": detail,
    }  # fmt: skip
