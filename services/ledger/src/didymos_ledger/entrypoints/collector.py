"""What the ledger hears: each provable event becomes a kept record and one entry. Exactly once across kill -9.

Offsets live in the log itself, in the frame of the entries they brought. A slice is kept first and appended then; what
lies below the cursor of its part is in the log already and is passed over.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from didymos.identity.v1 import identity_events_pb2 as identity
from didymos.identity.v1.identity_types_pb2 import GRANT_STATE_EXPIRED, GRANT_STATE_REVOKED
from didymos.market.v1.market_events_pb2 import SettlementFinal
from didymos.training.v1.training_events_pb2 import ModelRegistered
from didymos_contracts.errors.ledger import LEDGER_ENTRY_INVALID
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_contracts.metrics import LEDGER_ENTRIES_TOTAL
from didymos_contracts.topics import CONSENT, IDENTITY, MARKET, MODEL, SETTLEMENT, TRAINING, Topic
from didymos_did import Did, Signer, TwinId, parse_grant
from didymos_kit.clock import Clock
from didymos_kit.database.engine import Database
from didymos_kit.database.unit_of_work import Transaction
from didymos_kit.eventlog import Stored
from didymos_kit.eventlog.consume import Consumer, consume
from didymos_kit.eventlog.envelope import event_id, event_type, parse
from didymos_kit.eventlog.port import EventLog, Part, Start
from didymos_kit.faults import fault_point
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics
from didymos_provenance import Salt

from didymos_ledger.adapters import provables as said
from didymos_ledger.application.keep import keep_all
from didymos_ledger.application.ports import Credentials, EntryLog, Keeping, Parties
from didymos_ledger.domain.batch import SourceCursor
from didymos_ledger.domain.provable import Provable, of_twin

GROUP: Final = "ledger.collect"
TOPICS: Final[Sequence[Topic]] = (
    CONSENT.name, IDENTITY.name, MARKET.name, SETTLEMENT.name, TRAINING.name, MODEL.name,
)  # fmt: skip
_ENDED: Final = {GRANT_STATE_REVOKED: "grant.revoked", GRANT_STATE_EXPIRED: "grant.expired"}


class Owners(Protocol):
    """Who owns a twin, and whether it was erased."""

    def owner_of(self, twin: TwinId) -> Did | None: ...

    def destroyed(self, twin: TwinId) -> bool: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What the collector asks beside the events: credentials of grants, owners of twins; who signs, what salts."""

    credentials: Credentials
    owners: Owners
    house: Signer
    salt: Callable[[], Salt]


class Collector:
    """One consumer group over all provable topics."""

    def __init__(
        self, log: EntryLog, database: Database, keeping: Callable[[Transaction], Keeping], sources: Sources,
        clock: Clock, metrics: Metrics,
    ) -> None:  # fmt: skip
        self._log, self._database, self._keeping, self._sources = log, database, keeping, sources
        self._clock = clock
        self._entries = metrics.counter(LEDGER_ENTRIES_TOTAL)
        self._metrics = metrics
        self._cursors: dict[tuple[str, int], int] = {}

    async def run(self, event_log: EventLog, stopping: Stopping) -> None:
        consumer = Consumer(GROUP, TOPICS, self.handle, self, metrics=self._metrics)
        await consume(event_log, consumer, self._clock, stopping)

    async def assigned(self, parts: frozenset[Part]) -> Mapping[Part, Start]:
        """Start where the group committed; what the log has beyond that is passed over."""
        del parts
        self._cursors = dict(await self._log.cursors())
        return {}

    async def revoked(self, parts: frozenset[Part]) -> None:
        """Cursors are in the log: nothing to store."""

    async def handle(self, records: Sequence[Stored]) -> None:
        topic, partition = records[0].topic, records[0].partition
        done = self._cursors.get((topic, partition), 0)
        fresh = [record for record in records if record.offset >= done and record.value is not None]
        found = [(record, await self._credential(record)) for record in fresh]
        async with self._database.unit_of_work() as tx:
            keeping = self._keeping(tx)
            wanted = [one for record, credential in found for one in await self._provables(record, credential, keeping)]
            drafts = await keep_all(wanted, keeping, self._sources.house, self._clock.now(), self._sources.salt)
        fault_point("ledger.kept")
        if not drafts:
            return
        cursor = SourceCursor(topic, partition, records[-1].offset + 1)
        receipt = await self._log.append(drafts, cursor)
        fault_point("ledger.appended")
        self._cursors[topic, partition] = cursor.next_offset
        self._entries.inc(len(receipt.indices))
        places = {draft.event_id: index for draft, index in zip(drafts, receipt.indices, strict=False)}
        async with self._database.unit_of_work() as tx:
            await self._keeping(tx).place(places)

    async def _credential(self, record: Stored) -> bytes | None:
        """Asked for before the transaction opens: no await on another system inside."""
        if event_type(record.headers) != "didymos.identity.v1.ConsentChanged" or record.value is None:
            return None
        return await self._fetched(identity.ConsentChanged.FromString(record.value))

    async def _fetched(self, event: identity.ConsentChanged) -> bytes | None:
        """The credential, the very one that was registered; None once its twin was erased."""
        credential = await self._sources.credentials.credential(event.grant_id)
        if credential is None:
            if self._sources.owners.destroyed(TwinId(Did(event.twin))):
                return None
            raise PLATFORM_UNAVAILABLE.problem(dependency="identity", detail="it does not show the credential yet")
        if parse_grant(credential).digest != event.digest:
            raise LEDGER_ENTRY_INVALID.problem(detail="the credential is another than the registered one")
        return credential

    async def _provables(self, record: Stored, credential: bytes | None, keeping: Keeping) -> list[Provable]:
        value = record.value or b""
        match event_type(record.headers).removeprefix("didymos."):
            case "identity.v1.ConsentChanged":
                return _of_grant(identity.ConsentChanged.FromString(value), credential)
            case "identity.v1.TwinKeyDestroyed":
                await keeping.erase(of_twin(identity.TwinKeyDestroyed.FromString(value).twin))
                return [said.erasure_done(event_id(record.headers)[1], _time(record))]
            case "market.v1.NegotiationMoved":
                return [said.negotiation_moved(value)]
            case "market.v1.AgreementMade":
                made, event = said.agreement_made(value)
                await keeping.add_parties(event.id, Parties(Did(event.provider), Did(event.buyer)))
                return [made]
            case "market.v1.SettlementComputed":
                return [said.settlement_computed(value)]
            case "market.v1.PayoutPaid":
                await keeping.add_payout(said.payout_paid(value))
                return []
            case "market.v1.SettlementFinal":
                final = SettlementFinal.FromString(value)
                return [said.settlement_final(final, await keeping.payouts(final.agreement, final.seq))]
            case "training.v1.RunStarted":
                return said.run_started(value)
            case "training.v1.RoundClosed":
                return said.round_closed(value)
            case "training.v1.RoundAborted":
                return said.round_aborted(value)
            case "training.v1.ModelRegistered":
                model = ModelRegistered.FromString(value)
                owner = self._sources.owners.owner_of(TwinId(Did(model.twin))) if model.twin else None
                return [said.model_registered(model, owner)]
        return []


def _of_grant(event: identity.ConsentChanged, credential: bytes | None) -> list[Provable]:
    """Its issue, which an ended grant has, too: the topic is compacted, and the first record may be gone; its end."""
    if credential is None:
        return []
    owner, ended = Did(event.owner), _ENDED.get(event.state)
    issued = said.grant_issued(event.grant_id, event.twin, owner, credential)
    if ended is None:
        return [issued]
    return [issued, said.grant_ended(ended, event.grant_id, event.twin, owner, event.effective_at)]


def _time(record: Stored) -> str:
    return parse(record.headers).time.strftime("%Y-%m-%dT%H:%M:%SZ")
