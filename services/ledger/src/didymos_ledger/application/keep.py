"""From what happened to what is logged: the record is kept first, then its entry is appended. marketplace-ledger.md 1.

A crash between the two leaves a record without an entry, never an entry without its record; the repeat finds the record
and appends the very same commitment.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Signer, jcs, sign_document
from didymos_provenance import Json, Salt, b64url, commit

from didymos_ledger.application.ports import EntryLog, Keeping, Kept
from didymos_ledger.domain.batch import EntryDraft
from didymos_ledger.domain.provable import SIGNED, Provable


async def keep_all(
    provables: Sequence[Provable], records: Keeping, house: Signer, now: datetime, salt: Callable[[], Salt]
) -> list[EntryDraft]:
    """Drafts of all that is not in the log yet, in order, each once. Records of erased holders are left out.

    `house` signs the records that nobody signed before. Raises PLATFORM_NOT_FOUND for one that follows an unknown one.
    """
    drafts: dict[bytes, EntryDraft] = {}
    for provable in provables:
        kept = await records.find(provable.kind, provable.subject)
        if kept is None:
            kept = await _keep(provable, records, house, now, salt())
        if kept is not None and kept.place is None:
            drafts[kept.event_id] = kept.draft()
    return list(drafts.values())


async def _keep(provable: Provable, records: Keeping, house: Signer, now: datetime, salt: Salt) -> Kept | None:
    record = await _linked(provable, records)
    if provable.kind not in SIGNED:
        record = sign_document({**record, "issuer": str(house.did)}, house, now)
    commitment = commit(jcs(dict(record)), salt)
    if not await records.keep(provable, record, salt, commitment):
        return None
    return await records.find(provable.kind, provable.subject)


async def _linked(provable: Provable, records: Keeping) -> Mapping[str, Json]:
    """The record, with the commitment of the one it follows."""
    follows = provable.follows
    if follows is None:
        return provable.record
    before = await records.find(follows.kind, follows.subject)
    if before is None:
        raise PLATFORM_NOT_FOUND.problem(kind=follows.kind, subject=follows.subject)
    added: dict[str, Any] = {follows.member: b64url(before.commitment)}
    return {**provable.record, **added}


async def settle_places(records: Keeping, log: EntryLog) -> int:
    """After a crash: note where entries lie whose records did not learn it. How many were found."""
    found = {event: index for event in await records.unplaced() if (index := await log.find(event)) is not None}
    await records.place(found)
    return len(found)
