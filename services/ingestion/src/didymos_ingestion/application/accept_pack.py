"""A pack of a foreign format: its rows become a batch whose header ingestion signs itself. data-path.md 3 and 4.

What vouches for it is the caller's DPoP-bound token, or the gateway that brought it; its readings carry which.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from didymos_contracts.errors import catalogue_row
from didymos_contracts.errors.ingestion import BATCH_DEVICE_UNKNOWN, PROFILE_UNKNOWN
from didymos_did import Did, Signer
from didymos_kit.clock import Clock
from didymos_readings import (
    Assurance,
    DecodeContext,
    Header,
    ReadingError,
    Refusal,
    Row,
    batch_of,
    blocks_of,
    sign_batch,
)

from didymos_ingestion.application.accept_batch import Arrived, Taken, keep_batch, require_accepted
from didymos_ingestion.application.ports import Ports
from didymos_ingestion.domain.admission import Enrolment, place_of

Decoder = Callable[[bytes, DecodeContext], Iterator[Row | Refusal]]
LISTED: Final = 1024  # refusals of one pack that are listed one by one


@dataclass(frozen=True, slots=True)
class Pack:
    """A body and who sent it. `number` 0: unnumbered, and the digest of the body alone tells a repeat.

    `assurance`: how its sender was proved.
    """

    body: bytes
    device: Did
    stream: int
    number: int
    assurance: Assurance = Assurance.TOKEN


async def accept_pack(pack: Pack, decode: Decoder, signer: Signer, ports: Ports, clock: Clock) -> Taken:
    """As `accept_batch`; raises BATCH_MALFORMED and BATCH_TOO_LARGE of the decoder, too. Refusals name records."""
    received_at_us = clock.now_us()
    enrolments = ports.identity.enrolments(pack.device)
    if not enrolments:
        raise BATCH_DEVICE_UNKNOWN.problem(device=pack.device)
    digest = sha256(pack.body).digest()
    context = DecodeContext(received_at_us, place_of(enrolments))
    try:
        found = list(decode(pack.body, context))
        rows = [each for each in found if isinstance(each, Row)]
        unread = [each for each in found if isinstance(each, Refusal)]
        if not rows:
            return require_accepted(Taken(digest, 0, unread or [_EMPTY], ""))
        blocks = blocks_of(rows)
        header = Header(
            device=pack.device, audience=ports.operator, stream=pack.stream, number=pack.number,
            sent_at_us=received_at_us, uptime_us=0, block_count=0, root=b"", previous=b"", backfill=False,
            profile=_profile(enrolments),
        )  # fmt: skip
        batch = batch_of(sign_batch(header, blocks.blocks, signer))
    except ReadingError as error:
        raise catalogue_row(error.code).problem(detail=error.detail) from error
    taken = await keep_batch(Arrived(batch, received_at_us, pack.assurance, digest), ports, clock)
    records = [
        Refusal(each.code, each.detail, int(blocks.records[at]), 1)
        for each in taken.refused
        for at in range(each.index, each.index + each.count)
    ]
    refused = sorted([*unread, *records], key=_index)[:LISTED]
    return require_accepted(Taken(taken.digest, taken.accepted, refused, taken.token))


_EMPTY: Final = Refusal("batch.malformed", "the pack holds no reading")


def _profile(enrolments: Sequence[Enrolment]) -> str:
    """A pack names no profile: it is the one that its device is enrolled under."""
    profiles = {each.profile for each in enrolments}
    if len(profiles) != 1:
        raise PROFILE_UNKNOWN.problem(detail="the device is enrolled under several profiles: send signed batches")
    return profiles.pop()


def _index(refusal: Refusal) -> int:
    return refusal.index
