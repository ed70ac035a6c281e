"""What the use cases of log and witness need from outside."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from didymos_did import Did
from didymos_provenance import Checkpoint, Json, Note, Place, Salt

from didymos_ledger.domain.batch import EntryDraft, Receipt, SourceCursor
from didymos_ledger.domain.provable import Provable


@dataclass(frozen=True, slots=True)
class Head:
    """A published checkpoint: signed by the log, on disk, and never signed otherwise at this size."""

    checkpoint: Checkpoint
    note: Note


@dataclass(frozen=True, slots=True)
class Agreed:
    """A checkpoint with a quorum of cosignatures. `strength` is `sequencer` or `sequencer+witness(k/n)`."""

    checkpoint: Checkpoint
    note: Note
    strength: str
    at: int  # UTC seconds


class TileReader(Protocol):
    """Tiles and bundles of a log, full and partial."""

    async def read(self, place: Place) -> bytes | None:
        """Exactly `place.width` hashes or entries; None for what no released checkpoint covers."""


class EntryLog(TileReader, Protocol):
    """The log of one organisation. One writer; all that it answers is durable."""

    async def append(self, drafts: Sequence[EntryDraft], cursor: SourceCursor | None = None) -> Receipt:
        """Durable when it returns; all of the batch or nothing. A repeat of an event id gets its first index.

        Raises LEDGER_ENTRY_INVALID, LEDGER_ENTRY_TOO_LARGE, PLATFORM_TOO_LARGE, PLATFORM_INVALID_FIELD,
        PLATFORM_IDEMPOTENCY_MISMATCH (an event id with other content), PLATFORM_OVERLOADED, PLATFORM_UNAVAILABLE.
        """

    async def find(self, event_id: bytes) -> int | None:
        """Index of the entry of an event appended within 24 h; None if there is none."""

    async def cursors(self) -> Mapping[tuple[str, int], int]:
        """Where consumers resume: (topic, partition) to the next offset."""

    def head(self) -> Head:
        """The newest published checkpoint."""

    def grown(self, size: int) -> AsyncIterator[Head]:
        """Published checkpoints above `size`, each as it comes; slow readers see the newest only."""


class TileStore(Protocol):
    """Full tiles and bundles by path, for ever."""

    async def put_once(self, files: Sequence[tuple[str, bytes]]) -> None:
        """All durable when it returns. The same bytes again are fine; others raise LEDGER_TILE_CONFLICT."""

    async def get(self, path: str) -> bytes | None:
        """What is stored, or None."""


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """What a witness said: an HTTP status of C2SP tlog-witness, and its body."""

    status: int
    body: bytes


class WitnessClient(Protocol):
    """One witness, under the name that the trust policy gives it."""

    @property
    def name(self) -> str: ...

    async def add_checkpoint(self, request: bytes) -> WitnessAnswer:
        """Raises PLATFORM_UNAVAILABLE if the witness cannot be reached."""


class WitnessSizes(Protocol):
    """What the log remembers: the size that each witness cosigned last."""

    async def sizes(self) -> Mapping[str, int]:
        """By name; a witness without a row has size 0."""

    async def remember(self, sizes: Mapping[str, int], agreed: Agreed | None) -> None:
        """Store new sizes and, if there is one, the newest agreed checkpoint, in one transaction."""

    async def agreed(self) -> Agreed | None:
        """The newest agreed checkpoint, or None."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest checkpoint that this witness cosigned for an origin."""

    checkpoint: Checkpoint
    note: str


class WitnessStates(Protocol):
    """The state of a witness: one row per origin, never rolled back."""

    async def find(self, origin: str) -> Witnessed | None:
        """The newest that was cosigned, or None."""

    async def advance(self, old: int, new: Witnessed) -> bool:
        """Store `new` if the stored size is still `old` (0: none); durable when True. False: somebody was faster."""

    async def keep_evidence(self, origin: str, request: bytes, at: int) -> None:
        """Keep a request that a log signed and that contradicts what it signed before."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it is kept: what opens its entry, where that is (None: not known yet), and who may ask for it."""

    event_id: bytes
    kind: str
    subject: str
    thread: bytes
    commitment: bytes
    facts: Mapping[str, str | int]
    record: Mapping[str, Json]
    salt: Salt
    owner: Did | None
    agreement: str
    run: str
    place: int | None

    def draft(self) -> EntryDraft:
        return EntryDraft(self.event_id, self.kind, self.thread, self.commitment, self.facts)


@dataclass(frozen=True, slots=True)
class Payout:
    """One paid line of a settlement."""

    transfer: str
    agreement: str
    seq: int
    index: int
    thread: bytes
    asset: str
    minor: int


@dataclass(frozen=True, slots=True)
class Parties:
    """Who made an agreement."""

    provider: Did
    buyer: Did


class Records(Protocol):
    """What the log must not hold: records and salts, sealed by a key per holder. Reads of one moment."""

    async def find(self, kind: str, subject: str) -> Kept | None:
        """None also for one whose holder was erased."""

    async def of_thread(self, kind: str, thread: bytes) -> Kept | None:
        """The newest of a thread."""

    async def last_round(self, run: str) -> Kept | None:
        """The `round.closed` of the highest number."""

    async def payout(self, transfer: str) -> Payout | None: ...

    async def payouts(self, agreement: str, seq: int) -> Sequence[Payout]:
        """In the order of their lines."""

    async def parties(self, agreement: str) -> Parties | None: ...

    async def organisations(self) -> Sequence[Did]:
        """All parties of all agreements, in the order of their DIDs."""


class Keeping(Records, Protocol):
    """The same in a transaction, with what changes it."""

    async def keep(self, provable: Provable, record: Mapping[str, Json], salt: Salt, commitment: bytes) -> bool:
        """False, and nothing kept, if the holder was erased."""

    async def unplaced(self) -> Sequence[bytes]:
        """Event ids whose entry is not known to be in the log."""

    async def place(self, places: Mapping[bytes, int]) -> None:
        """Where entries came to lie, by event id."""

    async def add_payout(self, payout: Payout) -> None:
        """A repeat has no effect."""

    async def add_parties(self, agreement: str, parties: Parties) -> None:
        """A repeat has no effect."""

    async def erase(self, holder: str) -> int:
        """Destroy the key of `holder` for good and delete what it sealed; how many records."""


class Credentials(Protocol):
    """Where the signed credential of a grant is."""

    async def credential(self, grant: str) -> bytes | None:
        """As its owner signed it; None if there is none any more. Raises PLATFORM_UNAVAILABLE."""
