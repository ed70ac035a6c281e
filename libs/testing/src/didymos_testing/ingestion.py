"""What ingestion takes, for its tests: devices with real keys, enrolments, ports over a log in memory."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsAccepted, ReadingsQuarantined
from didymos.ingestion.v1.ingestion_types_pb2 import Parcel
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_contracts.topics import QUARANTINE, READINGS
from didymos_did import DataKey, DeviceEnrolment, Did, Ed25519Signer, TwinId
from didymos_ingestion.adapters.readings_log import SEALED_PATH, LogOfReadings
from didymos_ingestion.adapters.twin_tails import ProfileTable
from didymos_ingestion.application.ports import Ports
from didymos_ingestion.domain.quota import Buckets
from didymos_kit.clock import from_us
from didymos_kit.eventlog import Position, Record
from didymos_kit.eventlog.records import check_sizes, partition_for
from didymos_readings import Column, DeviceStream, Envelope, OpenParcel, Profile, open_parcel

from didymos_testing.clock import FixedClock
from didymos_testing.did import a_signer
from didymos_testing.readings import NOON_US, a_column

OPERATOR = a_signer("operator").did
DEVICE, OTHER_DEVICE = a_signer("device"), a_signer("other device")
TWIN = TwinId(a_signer("twin").did)
DAY_US = 86_400_000_000
PARTITIONS = {READINGS.name: READINGS.partitions, QUARANTINE.name: QUARANTINE.partitions}


@dataclass(frozen=True, slots=True)
class AnEnrolment:
    """Fills the `Enrolment` protocol of ingestion."""

    twin: TwinId = TWIN
    paths: tuple[str, ...] = ("features/glucose/**",)
    max_rate: int = 2000
    not_before_us: int = NOON_US - DAY_US
    until_us: int = NOON_US + DAY_US
    profile: str = "glucose@1"
    aliases: tuple[str, ...] = ()
    lost_since_us: int | None = None


def an_enrolment_credential(device: Did, twin: TwinId, owner: Did, at_us: int, **changes: Any) -> DeviceEnrolment:  # noqa: ANN401 - any member
    """What identity makes of the owner's credential."""
    at = from_us(at_us)
    said: dict[str, Any] = {
        "owner": owner, "device": device, "twin": twin, "paths": ("features/glucose/**",), "max_rate": 2000,
        "profile": "glucose@1", "valid_from": at - timedelta(days=1), "valid_until": at + timedelta(days=1),
        "digest": b"\x12\x20" + b"e" * 32,
    }  # fmt: skip
    return DeviceEnrolment(**{**said, **changes})


def a_signed_batch(
    *columns: Column, device: Ed25519Signer = DEVICE, number: int = 1, audience: Did = OPERATOR,
    profile: str = "glucose@1",
) -> Envelope:  # fmt: skip
    """A batch that the device sends at noon: three readings of TWIN unless others are given."""
    stream = DeviceStream(device, audience, profile, number=number)
    return stream.batch(columns or (a_column(twin=TWIN),), NOON_US)


@dataclass
class MemoryIdentity:
    """The `Identity` port. `enrolled` by device."""

    enrolled: dict[Did, list[AnEnrolment]] = field(default_factory=lambda: {DEVICE.did: [AnEnrolment()]})
    out: set[Did] = field(default_factory=set)
    gone: set[TwinId] = field(default_factory=set)

    def enrolments(self, device: Did, twins: Iterable[TwinId] | None = None) -> Sequence[AnEnrolment]:
        known = tuple(self.enrolled.get(device, ()))
        return known if twins is None else [each for twin in twins for each in known if each.twin == twin]

    def rate(self, device: Did) -> int | None:
        return max((each.max_rate for each in self.enrolled.get(device, ())), default=None)

    def suspended(self, did: Did) -> bool:
        return did in self.out

    def destroyed(self, twin: TwinId) -> bool:
        return twin in self.gone


@dataclass
class MemoryKeys:
    """The `EpochKeys` port: a key for each twin that is not in `gone`."""

    gone: set[TwinId] = field(default_factory=set)
    away: bool = False

    def at_hand(self, twins: Collection[TwinId], epoch: int) -> Mapping[TwinId, DataKey | None] | None:
        return None if self.away else {twin: self._key(twin, epoch) for twin in twins}

    async def fetch(self, twins: Collection[TwinId], epoch: int) -> Mapping[TwinId, DataKey | None]:
        if self.away:
            raise PLATFORM_UNAVAILABLE.problem(dependency="vault")
        return {twin: self._key(twin, epoch) for twin in twins}

    def _key(self, twin: TwinId, epoch: int) -> DataKey | None:
        return None if twin in self.gone else a_key(twin, epoch)


def a_key(twin: TwinId, epoch: int) -> DataKey:
    return DataKey(twin, epoch, sha256(f"{twin}|{epoch}".encode()).digest())


@dataclass
class MemoryLifecycles:
    closed: set[TwinId] = field(default_factory=set)

    def takes_readings(self, twin: TwinId) -> bool:
        return twin not in self.closed


@dataclass
class MemoryProfiles:
    """The `Profiles` port: those of the library, and `more`."""

    more: dict[str, Profile] = field(default_factory=dict)

    def find(self, profile: str) -> Profile | None:
        return self.more.get(profile) or ProfileTable().find(profile)


@dataclass
class MemoryWriter:
    """The `Writer` port of the log: places records as the real ones do.

    `full`: it refuses as a full disk would. `breaks_after`: of one append it writes so many and then is away, as a
    cluster may.
    """

    records: list[Record] = field(default_factory=list)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    full: bool = False
    breaks_after: int | None = None

    async def append(self, records: Sequence[Record]) -> list[Position]:
        if self.full:
            raise PLATFORM_UNAVAILABLE.problem(dependency="log")
        check_sizes(records)
        positions = [self._place(record) for record in records[: self.breaks_after]]
        if len(positions) < len(records):
            raise PLATFORM_UNAVAILABLE.problem(dependency="log")
        return positions

    def _place(self, record: Record) -> Position:
        part = partition_for(record, PARTITIONS[record.topic])
        offset = self.ends.get((record.topic, part), 0)
        self.ends[record.topic, part] = offset + 1
        self.records.append(record)
        return Position(record.topic, part, offset)

    def accepted(self) -> list[ReadingsAccepted]:
        return [ReadingsAccepted.FromString(each.value or b"") for each in self.records if each.topic == READINGS.name]

    def quarantined(self) -> list[ReadingsQuarantined]:
        found = [each for each in self.records if each.topic == QUARANTINE.name]
        return [ReadingsQuarantined.FromString(each.value or b"") for each in found]

    def opened(self) -> list[OpenParcel]:
        """Every accepted parcel, with the key of its twin."""
        return [opened(parcel) for event in self.accepted() for parcel in event.parcels]


def opened(parcel: Parcel) -> OpenParcel:
    """Its content, by the key that every vault of the tests gives for its twin."""
    key = a_key(TwinId(Did(parcel.twin)), parcel.key_epoch).parcel(parcel.salt)
    return open_parcel(parcel, lambda body: key.open(body, SEALED_PATH))


@dataclass
class IntakeWorld:
    """All that ingestion asks for, at noon, with DEVICE enrolled for the glucose of TWIN."""

    identity: MemoryIdentity = field(default_factory=MemoryIdentity)
    keys: MemoryKeys = field(default_factory=MemoryKeys)
    lifecycles: MemoryLifecycles = field(default_factory=MemoryLifecycles)
    profiles: MemoryProfiles = field(default_factory=MemoryProfiles)
    writer: MemoryWriter = field(default_factory=MemoryWriter)
    clock: FixedClock = field(default_factory=lambda: FixedClock(from_us(NOON_US)))
    buckets: Buckets = field(default_factory=Buckets)

    @property
    def ports(self) -> Ports:
        log = LogOfReadings(self.writer, "didymos://test/ingestion")
        return Ports(OPERATOR, self.identity, self.lifecycles, self.profiles, self.keys, log, self.buckets)

    def enrol(self, *enrolments: AnEnrolment, device: Did = DEVICE.did) -> "IntakeWorld":
        self.identity.enrolled[device] = list(enrolments)
        return self
