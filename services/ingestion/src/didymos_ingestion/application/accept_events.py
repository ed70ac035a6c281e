"""CloudEvents: each event is a pack of its own, known by its source and id. data-path.md 4."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final

from didymos_contracts.errors import Problem
from didymos_contracts.errors.ingestion import BATCH_DEVICE_UNKNOWN
from didymos_did import Signer
from didymos_kit.clock import Clock
from didymos_readings import Event, Refusal

from didymos_ingestion.application.accept_batch import Taken, require_accepted
from didymos_ingestion.application.accept_pack import LISTED, Pack, accept_pack
from didymos_ingestion.application.ports import Ports

_EMPTY: Final = Refusal("batch.malformed", "there is no event")


async def accept_events(events: Sequence[Event], pack: Pack, signer: Signer, ports: Ports, clock: Clock) -> Taken:
    """Raises as `accept_pack` for a single event; of several, refusals name events, and say which record was meant.

    What passes by itself is raised for all: a repeat of events that were taken is cut where applied. Only a single
    event has the number of the pack, and its original.
    """
    if len(events) == 1:
        return await accept_pack(replace(_around(pack, events[0]), original=pack.original), signer, ports, clock)
    accepted, tokens, refused = 0, list[str](), list[Refusal]()
    for index, event in enumerate(events):
        try:
            taken = await accept_pack(replace(_around(pack, event), number=0), signer, ports, clock)
        except Problem as problem:
            if problem.row.retry == "later" or problem.row is BATCH_DEVICE_UNKNOWN:
                raise
            refused.append(Refusal(problem.row.code, str(problem.values.get("detail", problem.row.title)), index, 1))
            continue
        accepted += taken.accepted
        tokens.append(taken.token)
        refused += [Refusal(each.code, f"record {each.index}: {each.detail}", index, 1) for each in taken.refused]
    digest = sha256(b"".join([event.digest for event in events])).digest()
    if not accepted:
        refused = refused or [_EMPTY]
    return require_accepted(Taken(digest, accepted, refused[:LISTED], ",".join(filter(None, tokens))))


def _around(pack: Pack, event: Event) -> Pack:
    inner = replace(pack, media=event.media, body=event.data, original=b"", apart=b"")
    return replace(inner, digest=event.digest, about=event.about, at_us=event.at_us)
