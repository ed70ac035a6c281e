"""The topic catalogue. platform.md section 7: only owners write, and partition counts never change within a version."""

from dataclasses import dataclass
from typing import Final, Literal, NewType, TypeAlias

Topic = NewType("Topic", str)
Cleanup: TypeAlias = Literal["delete", "compact"]

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
TWIN_PARTITIONS: Final = 64  # topics that must meet by twin: one worker owns a twin in all of them


@dataclass(frozen=True, slots=True)
class TopicRow:
    """One topic: who owns it, what its key is, and how long records stay."""

    name: Topic
    owner: str  # the service that writes; "any" for audit and dead letters
    key: str  # what the record key names
    partitions: int
    cleanup: Cleanup
    retention_ms: int
    max_record_bytes: int
    events: tuple[str, ...]  # full names of the protobuf messages it carries
    personal: bool  # carries identifiers of people: erasure must reach it


def _row(
    name: str,
    owner: str,
    key: str,
    partitions: int,
    cleanup: Cleanup,
    days: float,
    *events: str,
    personal: bool = True,
) -> TopicRow:
    retention = int(days * DAY_MS)
    return TopicRow(Topic(name), owner, key, partitions, cleanup, retention, 1 << 20, events, personal)


IDENTITY: Final = _row(
    "didymos.identity.v1", "identity", "DID", 16, "compact", 7,
    "didymos.identity.v1.TwinRegistered", "didymos.identity.v1.DeviceEnrolled", "didymos.identity.v1.DeviceRevoked",
    "didymos.identity.v1.TokenKeyPublished", "didymos.identity.v1.TwinKeyDestroyed",
    "didymos.identity.v1.SubjectChanged",
)  # fmt: skip
CONSENT: Final = _row(
    "didymos.consent.v1", "identity", "twin|grant, routed by twin", TWIN_PARTITIONS, "compact", 7,
    "didymos.identity.v1.ConsentChanged",
)  # fmt: skip
HEARTBEAT: Final = _row(
    "didymos.heartbeat.v1", "identity", "-", 1, "delete", 1 / 24, "didymos.identity.v1.IdentityHeartbeat",
    personal=False,
)  # fmt: skip
READINGS: Final = _row(
    "didymos.readings.v1", "ingestion", "twin", TWIN_PARTITIONS, "delete", 7, "didymos.ingestion.v1.ReadingsAccepted"
)
QUARANTINE: Final = _row(
    "didymos.quarantine.v1", "ingestion", "twin", 16, "delete", 30, "didymos.ingestion.v1.ReadingsQuarantined"
)
TWIN_COMMAND: Final = _row(
    "didymos.twin.command.v1", "steward", "twin", TWIN_PARTITIONS, "delete", 7, "didymos.twin.v1.CommandProposed"
)
TWIN_WRITE: Final = _row(
    "didymos.twin.write.v1", "twin-state", "twin", TWIN_PARTITIONS, "delete", 30, "didymos.twin.v1.TwinWrite"
)
TWIN_CHANGED: Final = _row(
    "didymos.twin.changed.v1", "twin-state", "twin", TWIN_PARTITIONS, "delete", 7,
    "didymos.twin.v1.TwinChanged", "didymos.twin.v1.CommandRefused", "didymos.twin.v1.DeviceEquivocated",
    "didymos.twin.v1.TwinForecast", "didymos.twin.v1.ModelWithdrawn",
)  # fmt: skip
TWIN_LIFECYCLE: Final = _row(
    "didymos.twin.lifecycle.v1", "twin-state", "twin", TWIN_PARTITIONS, "compact", 7,
    "didymos.twin.v1.TwinLifecycleChanged",
)  # fmt: skip
TWIN_PROFILE: Final = _row(
    "didymos.twin.profile.v1", "twin-state", "profile id@version", 16, "compact", 7,
    "didymos.twin.v1.ProfilePublished", personal=False,
)  # fmt: skip
TRAINING: Final = _row(
    "didymos.training.v1", "training-orchestration", "run", 16, "delete", 90,
    "didymos.training.v1.RunStarted", "didymos.training.v1.RoundOpened", "didymos.training.v1.RoundClosed",
    "didymos.training.v1.RoundAborted", "didymos.training.v1.RunCompleted", "didymos.training.v1.RunFailed",
    personal=False,
)  # fmt: skip
MODEL: Final = _row(
    "didymos.model.v1", "training-orchestration", "twin or task", 16, "compact", 7,
    "didymos.training.v1.ModelRegistered", "didymos.training.v1.ModelWithdrawn",
)  # fmt: skip
MARKET: Final = _row(
    "didymos.market.v1", "marketplace", "agreement", 16, "delete", 90,
    "didymos.market.v1.OfferPublished", "didymos.market.v1.NegotiationMoved", "didymos.market.v1.AgreementMade",
    personal=False,
)  # fmt: skip
SETTLEMENT: Final = _row(
    "didymos.settlement.v1", "marketplace", "agreement", 16, "delete", 90,
    "didymos.market.v1.SettlementComputed", "didymos.market.v1.SettlementFinal", "didymos.market.v1.PayoutPaid",
    personal=False,
)  # fmt: skip
LEDGER: Final = _row(
    "didymos.ledger.v1", "ledger", "entry", 16, "delete", 90, "didymos.ledger.v1.CheckpointAgreed", personal=False
)
AUDIT: Final = _row("didymos.audit.v1", "any", "twin", 16, "delete", 30, "didymos.identity.v1.AccessDecided")
DEAD: Final = _row("didymos.dead.v1", "any", "original", 16, "delete", 30)

TOPICS: Final[tuple[TopicRow, ...]] = (
    IDENTITY, CONSENT, HEARTBEAT, READINGS, QUARANTINE, TWIN_COMMAND, TWIN_WRITE, TWIN_CHANGED, TWIN_LIFECYCLE,
    TWIN_PROFILE, TRAINING, MODEL, MARKET, SETTLEMENT, LEDGER, AUDIT, DEAD,
)  # fmt: skip
BY_NAME: Final[dict[str, TopicRow]] = {row.name: row for row in TOPICS}
