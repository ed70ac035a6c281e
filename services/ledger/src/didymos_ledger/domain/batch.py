"""Batches of entries on their way into a log. marketplace-ledger.md section 2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from didymos_contracts.errors import ledger as rows
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_TOO_LARGE
from didymos_provenance import Entry, Fact, ProvenanceError, SignedPromise, make_entry

MAX_BATCH: Final = 1024
MAX_BATCH_BYTES: Final = 1 << 20
EVENT_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """What somebody wants logged; the log adds its organisation and the time."""

    event_id: bytes  # 16 bytes: a repeat within 24 h gets the index of the first
    kind: str
    thread: bytes
    commitment: bytes
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceCursor:
    """Where a consumer of a topic goes on after a batch. Durable with the batch."""

    topic: str
    partition: int
    next_offset: int


class Prepared(NamedTuple):
    """A draft as the entry it becomes, with its canonical bytes."""

    event_id: bytes
    entry: Entry
    text: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where the drafts of a batch are, in their order, and one signed promise for each run of indices.

    Both are empty for a batch that its cursor shows to be in the log already.
    """

    indices: tuple[int, ...]
    promises: tuple[SignedPromise, ...]


def prepare(drafts: Sequence[EntryDraft], org: str, at: int) -> tuple[Prepared, ...]:
    """The entries of a batch at `at`, UTC seconds.

    Raises LEDGER_ENTRY_INVALID or LEDGER_ENTRY_TOO_LARGE with the index of the draft, PLATFORM_TOO_LARGE for a batch
    over 1,024 entries or 1 MiB, PLATFORM_INVALID_FIELD for an empty one or one with an event id twice.
    """
    if len(drafts) > MAX_BATCH:
        raise PLATFORM_TOO_LARGE.problem(pointer="/drafts", count=len(drafts), limit=MAX_BATCH)
    if not drafts:
        raise PLATFORM_INVALID_FIELD.problem(pointer="/drafts", detail="a batch holds at least one draft")
    prepared = tuple(_prepare(index, draft, org, at) for index, draft in enumerate(drafts))
    if len({one.event_id for one in prepared}) != len(prepared):
        raise PLATFORM_INVALID_FIELD.problem(pointer="/drafts", detail="an event id stands twice in the batch")
    total = sum(len(one.text) for one in prepared)
    if total > MAX_BATCH_BYTES:
        raise PLATFORM_TOO_LARGE.problem(pointer="/drafts", bytes=total, limit=MAX_BATCH_BYTES)
    return prepared


def _prepare(index: int, draft: EntryDraft, org: str, at: int) -> Prepared:
    if len(draft.event_id) != EVENT_ID_BYTES:
        pointer = f"/drafts/{index}/event_id"
        raise rows.LEDGER_ENTRY_INVALID.problem(pointer=pointer, detail="an event id has 16 bytes")
    try:
        entry = make_entry(at, org, draft.kind, draft.thread, draft.commitment, draft.facts)
    except ProvenanceError as error:
        row = (
            rows.LEDGER_ENTRY_TOO_LARGE if error.code == rows.LEDGER_ENTRY_TOO_LARGE.code else rows.LEDGER_ENTRY_INVALID
        )
        raise row.problem(pointer=f"/drafts/{index}", detail=str(error)) from error
    return Prepared(draft.event_id, entry, entry.encode())
