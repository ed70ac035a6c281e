"""A proof bundle for whoever may ask: the chain of records from the claim back to what allowed it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from didymos_contracts.errors.ledger import LEDGER_NOT_YET_PUBLISHED
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_NOT_FOUND
from didymos_did import Did
from didymos_provenance import (
    CHAINS,
    TILE_WIDTH,
    Bundle,
    Evidence,
    build_bundle,
    decode_entries,
    parse_entry,
    tile_width,
)

from didymos_ledger.application.newest import Newest
from didymos_ledger.application.ports import EntryLog, Kept, Records
from didymos_ledger.application.prove import prove_inclusion, read_entry
from didymos_ledger.domain.provable import settlement_id

WAIT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Claim:
    """What a bundle is asked for: its records, the claim first; the end of a grant that ended."""

    kind: str
    id: str
    chain: tuple[Kept, ...]
    ended: Kept | None = None


async def find_claim(kind: str, id_: str, caller: Did, records: Records) -> Claim:
    """The claim, if `caller` may have it: an owner its grant, parties all under their agreement, a payee its payout.

    Raises PLATFORM_INVALID_FIELD for a kind that has no bundles; PLATFORM_NOT_FOUND for unknown and denied alike.
    """
    if kind not in CHAINS:
        raise PLATFORM_INVALID_FIELD.problem(pointer="/kind", detail=f"one of {', '.join(CHAINS)}")
    chain = await _chain(kind, id_, records)
    if chain is None or not await _may(kind, id_, chain, caller, records):
        raise PLATFORM_NOT_FOUND.problem(kind=kind, id=id_)
    ended = await records.find("grant.revoked", id_) if kind == "grant" else None
    return Claim(kind, id_, chain, ended)


async def _chain(kind: str, id_: str, records: Records) -> tuple[Kept, ...] | None:
    """The records of `CHAINS[kind]`, or None where one is missing."""
    found: list[Kept | None]
    match kind:
        case "grant":
            found = [await records.find("grant.issued", id_)]
        case "agreement":
            found = [await records.find("agreement.made", id_)]
        case "round":
            found = await _round(await records.find("round.closed", id_), records)
        case "model":
            model = await records.find("model.published", id_)
            found = [model, *await _round(None if model is None else await records.last_round(model.run), records)]
        case _:
            found = await _payout(id_, records)
    complete = tuple(one for one in found if one is not None)
    return complete if len(complete) == len(CHAINS[kind]) else None


async def _round(closed: Kept | None, records: Records) -> list[Kept | None]:
    if closed is None:
        return [None]
    committed = await records.find("round.committed", closed.subject)
    return [closed, committed, await records.find("agreement.made", closed.agreement)]


async def _payout(transfer: str, records: Records) -> list[Kept | None]:
    payout = await records.payout(transfer)
    if payout is None:
        return [None]
    subject = settlement_id(payout.agreement, payout.seq)
    return [
        await records.find("settlement.final", subject),
        await records.find("settlement.computed", subject),
        await records.find("agreement.made", payout.agreement),
    ]


async def _may(kind: str, id_: str, chain: Sequence[Kept], caller: Did, records: Records) -> bool:
    claim = chain[0]
    if claim.owner is not None and caller == claim.owner:
        return True
    if kind == "payout":
        payout = await records.payout(id_)
        grant = None if payout is None else await records.of_thread("grant.issued", payout.thread)
        if grant is not None and caller == grant.owner:
            return True
    agreement = next((one.agreement for one in chain if one.agreement), "")
    parties = await records.parties(agreement) if agreement else None
    return parties is not None and caller in (parties.provider, parties.buyer)


async def make_bundle(claim: Claim, log: EntryLog, newest: Newest, now: int) -> bytes:
    """The canonical bytes, all under one agreed checkpoint; waits up to 5 s for it. `now`: UTC seconds.

    Raises LEDGER_NOT_YET_PUBLISHED while no agreed checkpoint covers all of it.
    """
    kept = [*claim.chain, *([claim.ended] if claim.ended else [])]
    places = [await _located(one, log) for one in kept]
    agreed = await newest.covering(max(places), WAIT_SECONDS)
    if agreed is None or agreed.checkpoint.size <= max(places):
        raise LEDGER_NOT_YET_PUBLISHED.problem(index=max(places), size=newest.size)
    size, note = agreed.checkpoint.size, agreed.note
    evidence = [
        Evidence(
            one.record, one.salt, await read_entry(place, size, log),
            (await prove_inclusion(place, size, note, log)).encode(),
        )
        for one, place in zip(kept, places, strict=True)
    ]  # fmt: skip
    chain = evidence[: len(claim.chain)]
    ended = evidence[-1] if claim.ended else None
    return build_bundle(claim.kind, claim.id, chain, max(now, agreed.at), agreed.strength, ended)


async def _located(kept: Kept, log: EntryLog) -> int:
    """Where its entry is. A record that never learned it (a crash, more than a day ago) is looked for by commitment."""
    if kept.place is not None:
        return kept.place
    found = await log.find(kept.event_id)
    if found is None:
        found = await _scanned(kept.commitment, log)
    if found is None:
        raise LEDGER_NOT_YET_PUBLISHED.problem(detail="its entry is not in the log yet")
    return found


async def _scanned(commitment: bytes, log: EntryLog) -> int | None:
    size = log.head().checkpoint.size
    for number in range((size + TILE_WIDTH - 1) // TILE_WIDTH):
        raw = await log.read(Bundle(number, tile_width(0, number, size)))
        for offset, text in enumerate(decode_entries(raw or b"")):
            if parse_entry(text).commitment == commitment:
                return number * TILE_WIDTH + offset
    return None
