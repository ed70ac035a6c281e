"""A pack of a foreign format: its rows become batches whose headers ingestion signs itself. data-path.md 3 and 4.

What vouches for it is said by the pack: the device's signature over the request, a token, or a gateway.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from typing import Final

from didymos_contracts.errors import catalogue_row
from didymos_contracts.errors.ingestion import (
    BATCH_DEVICE_UNKNOWN,
    BATCH_MEDIA_UNSUPPORTED,
    BATCH_TOO_LARGE,
    PROFILE_UNKNOWN,
)
from didymos_did import Did, Signer
from didymos_kit.clock import Clock
from didymos_readings import (
    DECODERS,
    Assurance,
    DecodeContext,
    Decoder,
    Header,
    ReadingError,
    Refusal,
    Row,
    batch_of,
    sign_batch,
)

from didymos_ingestion.application.accept_batch import Arrived, Taken, keep_batch, require_accepted
from didymos_ingestion.application.ports import Ports
from didymos_ingestion.domain.admission import Enrolment, place_of, subject_of
from didymos_ingestion.domain.parts import PACK_READINGS, Part, parts_of

LISTED: Final = 1024  # refusals of one pack that are listed one by one
ORIGINAL_BYTES: Final = 256 << 10
AT_ONCE_BYTES: Final = 64 << 10  # longer bodies are read in a thread
_EMPTY: Final = Refusal("batch.malformed", "the pack holds no reading")


@dataclass(frozen=True, slots=True)
class Pack:
    """A body, what it is, and who sent it. `number` 0: unnumbered, and its digest alone tells a repeat.

    `profile`: id@version that its sender asks for, else that of its enrolment. `digest`: of the event around it, else
    of the body. `about`, `at_us`: subject and time of that event. `original`: a SignedRequest, for assurance HTTP.
    `backfill`: old data by intent, as of a file; it is not scored for being late.
    `apart` tells it from an equal one where its readings get their time from when it came, such as a sensor's that says
    no more than what it measures.
    """

    media: str
    body: bytes
    device: Did
    stream: int
    number: int
    assurance: Assurance = Assurance.TOKEN
    profile: str = ""
    digest: bytes = b""
    about: str = ""
    at_us: int | None = None
    original: bytes = b""
    apart: bytes = b""
    backfill: bool = False


@dataclass(frozen=True, slots=True)
class _Read:
    """A pack that was read: its parts, and what of it could not be.

    `alone`: it tells of one twin only. `by_arrival`: a second later the same body would be other readings.
    """

    parts: Sequence[Part]
    unread: Sequence[Refusal]
    alone: bool
    by_arrival: bool

    @property
    def count(self) -> int:
        return sum(len(part.records) for part in self.parts)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a pack before it is read."""

    context: DecodeContext
    profile: str
    digest: bytes


async def accept_pack(pack: Pack, signer: Signer, ports: Ports, clock: Clock) -> Taken:
    """As `accept_batch`; raises BATCH_MALFORMED, BATCH_TOO_LARGE and BATCH_MEDIA_UNSUPPORTED of the decoder, too.

    Refusals name records. A pack of more than one batch is kept batch by batch: a repeat of it is cut where applied.
    """
    decode = DECODERS.get(pack.media)
    if decode is None:
        raise BATCH_MEDIA_UNSUPPORTED.problem(accepted=list(DECODERS))
    known = _known(pack, ports, clock.now_us())
    if len(pack.body) > AT_ONCE_BYTES:  # others are not kept waiting
        read = await asyncio.to_thread(_read, pack, decode, known.context)
    else:
        read = _read(pack, decode, known.context)
    if read.by_arrival:
        known = replace(known, digest=sha256(known.digest + pack.apart).digest())
    if not read.parts:
        return require_accepted(Taken(known.digest, 0, [*read.unread] or [_EMPTY], ""))
    accepted, tokens, refused = 0, dict[str, int](), [*read.unread]
    for index, part in enumerate(read.parts):
        arrived = _arrived(pack, known, part, index, signer, ports.operator)
        whole = arrived._replace(charged=0 if index else read.count, original=_original(pack, read))
        taken = await keep_batch(whole, ports, clock)
        accepted += taken.accepted
        _remember(tokens, taken.token)
        refused += [
            Refusal(each.code, each.detail, int(part.records[at]), 1)
            for each in taken.refused
            for at in range(each.index, each.index + each.count)
        ]
    token = ",".join(f"{partition}:{offset}" for partition, offset in tokens.items())
    return require_accepted(Taken(known.digest, accepted, sorted(refused, key=_index)[:LISTED], token))


def _known(pack: Pack, ports: Ports, now_us: int) -> _Known:
    enrolments = ports.identity.enrolments(pack.device)
    if not enrolments:
        raise BATCH_DEVICE_UNKNOWN.problem(device=pack.device)
    named = pack.profile or _profile(enrolments)
    profile = ports.profiles.find(named)
    if profile is None:
        raise PROFILE_UNKNOWN.problem(profile=named)
    context = DecodeContext(
        now_us, place_of(enrolments), subject_of(enrolments), profile, about=pack.about, at_us=pack.at_us
    )  # fmt: skip
    return _Known(context, named, pack.digest or sha256(pack.body).digest())


def _read(pack: Pack, decode: Decoder, context: DecodeContext) -> _Read:
    """Pure. Raises the row of a ReadingError."""
    try:
        found = list(islice(decode(pack.body, context), PACK_READINGS + 1))
        if len(found) > PACK_READINGS:
            raise BATCH_TOO_LARGE.problem(detail=f"a pack has at most {PACK_READINGS:,} readings", limit=PACK_READINGS)
        rows = [each for each in found if isinstance(each, Row)]
        unread = [each for each in found if isinstance(each, Refusal)]
        strangers = any(each.code == "reading.subject_unknown" for each in unread)
        alone = len({row.twin for row in rows}) == 1 and not strangers
        by_arrival = bool(pack.apart) and found != list(decode(pack.body, replace(context, now_us=context.now_us + 1)))
        return _Read(parts_of(rows), unread, alone, by_arrival)
    except ReadingError as error:
        raise catalogue_row(error.code).problem(detail=error.detail) from error


def _arrived(pack: Pack, known: _Known, part: Part, index: int, signer: Signer, operator: Did) -> Arrived:
    """One batch of a pack. The first has its number and digest, the others go unnumbered under digests that follow.

    Readings without a time go as those of a device without a clock.
    """
    now_us = known.context.now_us
    header = Header(
        device=pack.device, audience=operator, stream=pack.stream, number=0 if index else pack.number,
        sent_at_us=now_us if part.timed else 0, uptime_us=0 if part.timed else now_us, block_count=0, root=b"",
        previous=b"", backfill=pack.backfill, profile=known.profile,
    )  # fmt: skip
    digest = sha256(known.digest + index.to_bytes(4, "big")).digest() if index else known.digest
    return Arrived(batch_of(sign_batch(header, part.blocks, signer)), now_us, pack.assurance, digest)


def _original(pack: Pack, read: _Read) -> bytes:
    """What proves the pack, if it tells of one twin only: all of it is sealed for each twin's owner."""
    return pack.original if read.alone and len(pack.original) <= ORIGINAL_BYTES else b""


def _remember(tokens: dict[str, int], token: str) -> None:
    for place in filter(None, token.split(",")):
        partition, _, offset = place.partition(":")
        tokens[partition] = max(int(offset), tokens.get(partition, 0))


def _profile(enrolments: Sequence[Enrolment]) -> str:
    """A pack that names no profile has the one that its device is enrolled under."""
    profiles = {each.profile for each in enrolments}
    if len(profiles) != 1:
        raise PROFILE_UNKNOWN.problem(detail="the device is enrolled under several profiles: say ?profile=id@version")
    return profiles.pop()


def _index(refusal: Refusal) -> int:
    return refusal.index
