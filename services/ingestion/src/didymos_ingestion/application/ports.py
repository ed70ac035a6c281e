"""What accepting readings needs from outside. data-path.md 5 and 15."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from didymos_contracts.errors import Problem
from didymos_did import DataKey, Did, TwinId
from didymos_readings import Normalised, ParcelContent, Profile, RefusedContent

from didymos_ingestion.domain.admission import Enrolment
from didymos_ingestion.domain.quota import Buckets


class Identity(Protocol):
    """What the tail of the identity topic says now."""

    def enrolments(self, device: Did, twins: Iterable[TwinId] | None = None) -> Sequence[Enrolment]:
        """Of every twin that ever enrolled the device, or of these twins only."""

    def rate(self, device: Did) -> int | None:
        """The most readings a second that any of its enrolments allows; None: nobody ever enrolled it."""

    def suspended(self, did: Did) -> bool: ...

    def destroyed(self, twin: TwinId) -> bool:
        """Whether the twin's keys are gone: it was erased."""


class Lifecycles(Protocol):
    def takes_readings(self, twin: TwinId) -> bool:
        """False for a twin that is suspended, retired or erased. One that was never created is open."""


class Profiles(Protocol):
    def find(self, profile: str) -> Profile | None:
        """By id@version."""


class EpochKeys(Protocol):
    def at_hand(self, twins: Collection[TwinId], epoch: int) -> Mapping[TwinId, DataKey | None] | None:
        """The same as `fetch` when nothing need be asked for, else None."""

    async def fetch(self, twins: Collection[TwinId], epoch: int) -> Mapping[TwinId, DataKey | None]:
        """The key of each; None of one that was destroyed. Raises PLATFORM_UNAVAILABLE while the vault is away."""


class Accepted(NamedTuple):
    """What of one batch is to be sealed and kept: parcels to apply, and refused content for the owner to see.

    A NamedTuple, not a dataclass, as all that is made for each batch: it is made 4x faster.
    `digest`: of the batch, or of the original body where ingestion signed the header itself.
    """

    normalised: Normalised
    parcels: Sequence[ParcelContent]
    refused: Sequence[RefusedContent]
    keys: Mapping[str, DataKey]
    digest: bytes


class ReadingsLog(Protocol):
    async def append(self, accepted: Accepted) -> str:
        """All of it, durably; the consistency token of its parcels. Raises PLATFORM_UNAVAILABLE: send the batch again.

        Some of it may be in the log then; a repeat has the same digest and is cut where it is applied.
        """

    async def append_together(self, several: Sequence[Accepted]) -> list[str | Problem]:
        """The same of several batches, whose parcels of one partition share records; of each its token, or why not.

        Parcels of a batch without a number stay apart: the offset of their record tells which of two came later.
        """


@dataclass(frozen=True, slots=True)
class Ports:
    """All of the above. `operator`: the organisation that batches must name as their audience."""

    operator: Did
    identity: Identity
    lifecycles: Lifecycles
    profiles: Profiles
    keys: EpochKeys
    log: ReadingsLog
    buckets: Buckets
