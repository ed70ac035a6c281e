"""Parcels: a batch's readings of one twin, to be sealed, stored and decoded again. data-path.md 3 and 7."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from didymos.ingestion.v1 import ingestion_types_pb2 as pb
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from didymos_readings.batch import Batch, Envelope, message_of
from didymos_readings.block import NUMBERS, Block, Kind, Op, Times, Values, parse_block
from didymos_readings.block_tree import paths_in
from didymos_readings.errors import ReadingError, Refusal
from didymos_readings.normalise import Normalised, NormalisedBlock
from didymos_readings.quality import ASSURANCE_CODES, REFUSED, SCORING, Bytes
from didymos_readings.units import curve_of
from didymos_readings.wire import SIZE, Numbers, delimited

Cipher: TypeAlias = Callable[[bytes], bytes]
"""Seals or opens one body; twin, epoch and salt are bound into it by the caller."""

_KEY_EPOCH, _COUNT = Numbers(b"\x38"), Numbers(b"\x50")  # Parcel
_STREAM, _NUMBER, _ASSURANCE = Numbers(b"\x18"), Numbers(b"\x20"), Numbers(b"\x30")  # the same
_SCORING: Final = Numbers(b"\x20")  # ParcelBody
_LEAF, _COMPLETENESS, _FIRST = Numbers(b"\x10"), Numbers(b"\x50"), Numbers(b"\x60")  # Annotated
_PATH = Numbers(b"\x1a")  # the size of this field of it
_REFUSED_BYTE: Final = bytes([REFUSED])
_NOT_KEPT: Final = frozenset({"reading.not_enrolled", "twin.suspended", "key.destroyed"})


class ParcelContent(NamedTuple):
    """An unsealed parcel: the bytes of a ParcelBody, and what stands in clear beside it (a NamedTuple, as `Block`)."""

    twin: str
    body: bytes
    accepted: int
    t_min_us: int
    t_max_us: int


@dataclass(frozen=True, slots=True)
class RefusedContent:
    """An unsealed quarantined parcel: the bytes of a QuarantinedBody."""

    twin: str
    body: bytes
    refusals: tuple[Refusal, ...]


class DecodedColumn(NamedTuple):
    """The accepted readings of one block, n of them (a NamedTuple, as `Block` is).

    Numbers and booleans are float64 in `unit`, points (n, 3).
    `sent` are the values as the device sent them (integers stay integers). Of a retraction both are empty.
    """

    property: str
    unit: str
    op: Op
    kind: Kind
    leaf: int
    first: int  # running index in the batch of the block's first reading
    position: NDArray[np.int64]  # in the block: with device, stream, number and leaf the id of a reading
    t_us: Times
    value: Values
    quality: Bytes
    flags: Bytes
    texts: tuple[str, ...]
    sent: NDArray[Any]
    completeness: int

    def running(self) -> NDArray[np.int64]:
        """Running index in the batch: `sequence` is number * 2^24 + this."""
        return self.position + self.first


@dataclass(frozen=True, slots=True)
class OpenParcel:
    """What a parcel's body says. `header`, `signature`, `kid` and the annotated paths prove each block offline."""

    header: bytes
    signature: bytes
    kid: str
    scoring: int
    original: bytes
    columns: tuple[DecodedColumn, ...]


def parcel_contents(normalised: Normalised, original: bytes = b"") -> list[ParcelContent]:
    """One per twin with accepted readings, in the order in which the batch first names them."""
    columns = normalised.columns
    if columns is None:
        return []
    paths = paths_in(normalised.batch.levels)
    quality, flags = columns.quality.tobytes(), columns.flags.tobytes()
    shift = pb.Annotated(shift_us=normalised.shift_us).SerializeToString() if normalised.shift_us else b""
    head = delimited(b"\x0a", _without_blocks(normalised.batch.envelope))
    tail = delimited(b"\x1a", original) + _SCORING[SCORING]
    by_twin: dict[str, list[NormalisedBlock]] = {}
    for block in normalised.blocks:
        by_twin.setdefault(block.block.twin, []).append(block)
    found = []
    for twin, blocks in by_twin.items():
        body, count, first, last = [head], 0, blocks[0].t_min_us, blocks[0].t_max_us
        for block in blocks:
            body.append(_annotated(block, paths[block.block.leaf], quality, flags, shift))
            count += block.accepted
            first = block.t_min_us if block.t_min_us < first else first
            last = block.t_max_us if block.t_max_us > last else last
        body.append(tail)
        found.append(ParcelContent(twin, b"".join(body), count, first, last))
    return found


def seal_parcel(
    normalised: Normalised, content: ParcelContent, key_epoch: int, salt: bytes, seal: Cipher, digest: bytes = b""
) -> pb.Parcel:
    """The parcel as it travels. `digest`: of the original body, for a format that ingestion signed itself."""
    shared = shared_fields(normalised, digest)
    return pb.Parcel.FromString(encode_parcel(content, shared, key_epoch, salt, seal(content.body)))


def shared_fields(normalised: Normalised, digest: bytes = b"") -> bytes:
    """What all parcels of a batch say alike, for `encode_parcel`."""
    header = normalised.batch.header
    return b"%b%b%b%b%b" % (
        delimited(b"\x12", header.device.encode()), _STREAM[header.stream], _NUMBER[header.number],
        delimited(b"\x2a", digest or normalised.batch.digest), _ASSURANCE[normalised.assurance],
    )  # fmt: skip


def _without_blocks(envelope: Envelope) -> bytes:
    """The SignedBatch as parcels hold it."""
    signature, kid = delimited(b"\x1a", envelope.signature), delimited(b"\x22", envelope.kid.encode())
    return delimited(b"\x0a", envelope.header_bytes) + signature + kid


def encode_parcel(content: ParcelContent, shared: bytes, key_epoch: int, salt: bytes, sealed: bytes) -> bytes:
    """The bytes of a Parcel whose body was sealed: what `seal_parcel` gives, for those who make many."""
    twin = content.twin.encode()
    return b"\x0a%b%b%b%b\x42%b%b\x4a%b%b%b%b" % (
        SIZE[len(twin)], twin, shared, _KEY_EPOCH[key_epoch], SIZE[len(salt)], salt, SIZE[len(sealed)], sealed,
        _COUNT[content.accepted], _span(content.t_min_us, content.t_max_us),
    )  # fmt: skip


@lru_cache(maxsize=256)
def _span(first_us: int, last_us: int) -> bytes:
    """First and last time of a Parcel; those of one gateway are read at the same moments."""
    return pb.Parcel(t_min_us=first_us, t_max_us=last_us).SerializeToString()


def open_parcel(parcel: pb.Parcel, opened: Cipher) -> OpenParcel:
    """The content of a parcel. Raises ReadingError `batch.malformed`, and what `opened` raises."""
    return decode_parcel(opened(parcel.sealed))


def decode_parcel(body: bytes) -> OpenParcel:
    """The columns of a ParcelBody. Raises ReadingError `batch.malformed`."""
    try:
        said = pb.ParcelBody.FromString(body)
    except DecodeError as error:
        raise ReadingError("batch.malformed", "the content is no ParcelBody message") from error
    columns = tuple(column_of(each) for each in said.blocks)
    signed = said.signed
    return OpenParcel(signed.header, signed.signature, signed.kid, said.scoring, said.original, columns)


def refused_contents(batch: Batch, refusals: Iterable[Refusal], original: bytes = b"") -> list[RefusedContent]:
    """What of the refused readings is kept, one per twin: blocks whole, as they were signed."""
    firsts = [block.first for block in batch.blocks]
    by_twin: dict[str, dict[int, list[Refusal]]] = {}
    for refusal in refusals:
        if refusal.count and refusal.code not in _NOT_KEPT:
            block = batch.blocks[bisect_right(firsts, refusal.index) - 1]
            by_twin.setdefault(block.twin, {}).setdefault(block.leaf, []).append(refusal)
    paths = paths_in(batch.levels) if by_twin else []
    signed = message_of(batch.envelope, blocks=False)
    return [
        RefusedContent(
            twin,
            pb.QuarantinedBody(
                signed=signed, blocks=_quarantined([batch.blocks[leaf] for leaf in leaves], paths), original=original
            ).SerializeToString(),
            tuple(refusal for each in leaves.values() for refusal in each),
        )
        for twin, leaves in by_twin.items()
    ]


def seal_refused(
    normalised: Normalised, content: RefusedContent, key_epoch: int, salt: bytes, seal: Cipher, digest: bytes = b""
) -> pb.QuarantinedParcel:
    """The quarantined parcel as it travels."""
    header = normalised.batch.header
    return pb.QuarantinedParcel(
        twin=content.twin, device=header.device, stream=header.stream, number=header.number,
        digest=digest or normalised.batch.digest, assurance=ASSURANCE_CODES[normalised.assurance],
        key_epoch=key_epoch, salt=salt, sealed=seal(content.body),
        refused=[refused_message(each) for each in content.refusals],
    )  # fmt: skip


def refused_message(refusal: Refusal) -> pb.Refused:
    """A refusal as it is answered and stored."""
    return pb.Refused(index=refusal.index, code=refusal.code, detail=refusal.detail, count=refusal.count)


def _quarantined(blocks: Sequence[Block], paths: Sequence[bytes]) -> list[pb.QuarantinedBlock]:
    return [
        pb.QuarantinedBlock(block=block.raw, leaf=block.leaf, path=paths[block.leaf], first=block.first)
        for block in blocks
    ]


def _annotated(found: NormalisedBlock, path: bytes, quality: bytes, flags: bytes, shift: bytes) -> bytes:
    """The field `blocks` of a ParcelBody: an Annotated. `quality` and `flags` are those of the whole batch."""
    block, start = found.block, found.start
    raw, end, size = block.raw, start + block.size, SIZE[block.size]
    said = b"\x0a%b%b%b%b%b%b\x42%b%b\x4a%b%b%b%b%b" % (
        SIZE[len(raw)], raw, _LEAF[block.leaf], _PATH[len(path)], path, found.plan.said,
        size, quality[start:end], size, flags[start:end], _COMPLETENESS[found.completeness], shift, _FIRST[block.first],
    )  # fmt: skip
    return b"\x12%b%b" % (SIZE[len(said)], said)


def column_of(said: pb.Annotated) -> DecodedColumn:
    """One column of a ParcelBody. Raises ReadingError `batch.malformed`."""
    block = parse_block(said.block, said.leaf, said.first)
    quality, flags = np.frombuffer(said.quality, np.uint8), np.frombuffer(said.flags, np.uint8)
    if len(quality) != block.size or len(flags) != block.size:
        raise ReadingError("batch.malformed", f"block {said.leaf} has other than one quality for each reading")
    position, t_us = np.arange(block.size), block.times() + said.shift_us
    sent, texts = _sent(block)
    if _REFUSED_BYTE in said.quality:
        position = np.flatnonzero(quality != REFUSED)
        t_us, quality, flags = t_us[position], quality[position], flags[position]
        sent = sent[position] if len(sent) else sent
        texts = tuple(texts[at] for at in position.tolist()) if texts else texts
    return DecodedColumn(
        block.property, said.unit, block.op, block.kind, block.leaf, said.first, position, t_us,
        _normalised(sent, block, said), quality, flags, texts, sent, said.completeness,
    )  # fmt: skip


def _sent(block: Block) -> tuple[NDArray[Any], tuple[str, ...]]:
    if block.op is Op.RETRACTION:
        return np.empty(0), ()
    return (np.empty(0), block.texts()) if block.kind is Kind.TEXT else (block.column(), ())


def _normalised(sent: NDArray[Any], block: Block, said: pb.Annotated) -> Values:
    plain = sent.astype(np.float64, copy=False)
    if block.kind not in NUMBERS or block.op is Op.RETRACTION:
        return plain
    if not said.curve:
        return plain if (said.a, said.b) == (1.0, 0.0) else plain * said.a + said.b
    curve = curve_of(said.curve)
    if curve is None:
        raise ReadingError("batch.malformed", f"block {said.leaf} names an unknown curve")
    with np.errstate(all="ignore"):
        return curve(plain)
