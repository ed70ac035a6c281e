"""Ownership, enrolments, token keys and standing, from the tail of `didymos.identity.v1`. identity.md sections 8-10."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from didymos.identity.v1 import identity_events_pb2 as events
from didymos_did import Did, KeyId, Ownership, PublicKey, SubjectStatus, TwinId, parse_key

from didymos_kit.clock import Clock
from didymos_kit.eventlog.envelope import event_type
from didymos_kit.eventlog.port import Stored


@dataclass(frozen=True, slots=True)
class Enrolment:
    """`device` may send `paths` of `twin`; what it sends with times from `lost_since_us` on goes to quarantine."""

    device: Did
    twin: TwinId
    paths: tuple[str, ...]
    max_rate: int
    not_before_us: int
    until_us: int
    profile: str
    aliases: tuple[str, ...]
    digest: bytes
    revision: int
    lost_since_us: int | None = None


@dataclass(frozen=True, slots=True)
class _Owned:
    owner: Did
    revision: int


_NO_ENROLMENTS: Final[Mapping[TwinId, Enrolment]] = MappingProxyType({})


class IdentityTail:
    """Blind to order and repeats: of two records of one thing the higher revision holds. Fills `access.Trust`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._owners: dict[TwinId, _Owned] = {}
        self._enrolments: dict[Did, dict[TwinId, Enrolment]] = {}
        self._rates: dict[Did, int] = {}  # of a device that was asked about, until its enrolments change
        self._lost: dict[tuple[Did, TwinId], events.DeviceRevoked] = {}
        self._token_keys: dict[KeyId, tuple[PublicKey, int, int]] = {}
        self._status: dict[Did, tuple[SubjectStatus, int]] = {}
        self._destroyed: set[TwinId] = set()
        self._arrived = asyncio.Event()

    def apply(self, record: Stored) -> None:
        """Raises for what is no event of identity: the tail halts. Types that are not known here pass."""
        if record.value is None:
            return
        name = event_type(record.headers).rpartition(".")[2]
        take = _TAKES.get(name)
        if take is not None:
            take(self, record.value)
            self._arrived.set()
            self._arrived = asyncio.Event()

    def owner_of(self, twin: TwinId) -> Did | None:
        found = self._owners.get(twin)
        return None if found is None else found.owner

    def twins_of(self, owner: Did) -> tuple[TwinId, ...]:
        """Every twin that this DID owns now."""
        return tuple(twin for twin, owned in self._owners.items() if owned.owner == owner)

    def ownership(self, twin: TwinId) -> Ownership:
        return Ownership(self.owner_of(twin), erased=twin in self._destroyed)

    def enrolments(self, device: Did, twins: Iterable[TwinId] | None = None) -> tuple[Enrolment, ...]:
        """One for each twin that ever enrolled it, or of these twins only: windows are the caller's to judge."""
        known = self._enrolments.get(device, _NO_ENROLMENTS)
        return tuple(known.values()) if twins is None else tuple([known[twin] for twin in twins if twin in known])

    def rate(self, device: Did) -> int | None:
        """The most readings a second that any of its enrolments allows; None: nobody ever enrolled it."""
        known = self._enrolments.get(device)
        if known is not None and device not in self._rates:
            self._rates[device] = max(each.max_rate for each in known.values())
        return self._rates.get(device)

    def destroyed(self, twin: TwinId) -> bool:
        return twin in self._destroyed

    def erased(self) -> frozenset[TwinId]:
        """Every twin whose keys were destroyed."""
        return frozenset(self._destroyed)

    def suspended(self, did: Did) -> bool:
        known = self._status.get(did)
        return known is not None and known[0] is SubjectStatus.SUSPENDED

    def status(self, did: Did) -> SubjectStatus:
        known = self._status.get(did)
        return SubjectStatus.ACTIVE if known is None else known[0]

    def token_key(self, kid: KeyId) -> PublicKey | None:
        """The key, if it is published for tokens now."""
        found = self._token_keys.get(kid)
        if found is None:
            return None
        key, not_before, not_after = found
        return key if not_before <= self._clock.now_us() < not_after else None

    async def arrived(self) -> None:
        """Return at the next event."""
        await self._arrived.wait()

    def _registered(self, value: bytes) -> None:
        said = events.TwinRegistered.FromString(value)
        twin, known = TwinId(Did(said.twin)), self._owners.get(TwinId(Did(said.twin)))
        if known is None or known.revision < said.revision:
            self._owners[twin] = _Owned(Did(said.owner), said.revision)

    def _enrolled(self, value: bytes) -> None:
        said = events.DeviceEnrolled.FromString(value)
        device, twin = Did(said.device), TwinId(Did(said.twin))
        known = self._enrolments.get(device, _NO_ENROLMENTS)
        if twin in known and known[twin].revision >= said.revision:
            return
        enrolment = Enrolment(
            device, twin, tuple(said.paths), said.max_rate, said.not_before_us, said.until_us, said.profile,
            tuple(said.aliases), said.digest, said.revision,
        )  # fmt: skip
        self._enrolments.setdefault(device, {})[twin] = self._with_loss(enrolment)
        self._rates.pop(device, None)

    def _revoked(self, value: bytes) -> None:
        said = events.DeviceRevoked.FromString(value)
        device, twin = Did(said.device), TwinId(Did(said.twin))
        before = self._lost.get((device, twin))
        if before is not None and before.revision >= said.revision:
            return
        self._lost[device, twin] = said
        known = self._enrolments.get(device, {})
        if twin in known:
            known[twin] = self._with_loss(known[twin])

    def _with_loss(self, enrolment: Enrolment) -> Enrolment:
        """A revocation ends the enrolments before it, not one that the owner signed after it."""
        lost = self._lost.get((enrolment.device, enrolment.twin))
        if lost is None or lost.revision < enrolment.revision:
            return enrolment
        return replace(enrolment, lost_since_us=lost.lost_since_us)

    def _token_key(self, value: bytes) -> None:
        said = events.TokenKeyPublished.FromString(value)
        self._token_keys[KeyId(said.kid)] = (parse_key(said.multikey), said.not_before_us, said.not_after_us)

    def _subject(self, value: bytes) -> None:
        said = events.SubjectChanged.FromString(value)
        did, known = Did(said.did), self._status.get(Did(said.did))
        if known is None or known[1] < said.revision:
            suspended = said.status == events.SUBJECT_STATUS_SUSPENDED
            self._status[did] = (SubjectStatus.SUSPENDED if suspended else SubjectStatus.ACTIVE, said.revision)

    def _key_destroyed(self, value: bytes) -> None:
        self._destroyed.add(TwinId(Did(events.TwinKeyDestroyed.FromString(value).twin)))


_TAKES: Final = MappingProxyType({
    "TwinRegistered": IdentityTail._registered,
    "DeviceEnrolled": IdentityTail._enrolled,
    "DeviceRevoked": IdentityTail._revoked,
    "TokenKeyPublished": IdentityTail._token_key,
    "SubjectChanged": IdentityTail._subject,
    "TwinKeyDestroyed": IdentityTail._key_destroyed,
})  # fmt: skip
