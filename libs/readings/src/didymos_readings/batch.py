"""The signed batch: the unit of work on the data path. data-path.md 3 and 5, steps 2 to 4."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from didymos.ingestion.v1 import ingestion_types_pb2 as pb
from google.protobuf.message import DecodeError

from didymos_readings.block import Block, parse_block
from didymos_readings.block_tree import Levels, levels_of, root_from_path, root_of
from didymos_readings.errors import ReadingError, Refusal

BODY_BYTES: Final = 1 << 20
BATCH_READINGS: Final = 10_000
BATCH_BLOCKS: Final = 1024
BATCH_TWINS: Final = 256
CONTEXT: Final = b"didymos/batch/v1\0"
HEADER_BYTES: Final = 4096
MICROS: Final = 1 << 60  # times within +-2^60 us add up without overflow
_DID: Final = re.compile(r"did:[a-z0-9]{1,32}:[A-Za-z0-9._:%\-]{1,200}")
_PROFILE: Final = re.compile(r"[a-z0-9][a-z0-9._\-]{0,62}@[1-9][0-9]{0,8}")


class Verifier(Protocol):
    """A public key; it alone fixes the algorithm. `didymos_did` has the real ones."""

    def verify(self, message: bytes, signature: bytes) -> bool: ...


class BatchSigner(Protocol):
    """A device's key. `kid` is a DID URL of the device's DID."""

    @property
    def kid(self) -> str: ...
    def sign(self, message: bytes) -> bytes: ...


class Header(NamedTuple):
    """What the device signs, beside the root of its blocks. Times in us; digests 32 bytes. A NamedTuple, as `Block`."""

    device: str
    audience: str
    stream: int
    number: int
    sent_at_us: int
    uptime_us: int
    block_count: int
    root: bytes
    previous: bytes
    backfill: bool
    profile: str


class Envelope(NamedTuple):
    """A batch with its header parsed, its signature and blocks not looked at yet (a NamedTuple, as `Block`)."""

    header: Header
    header_bytes: bytes
    digest: bytes
    blocks: tuple[bytes, ...]
    signature: bytes
    kid: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch whose signature, root and columns hold."""

    envelope: Envelope
    blocks: tuple[Block, ...]
    count: int  # readings
    levels: Levels  # the tree over the blocks: its head is the header's root

    @property
    def header(self) -> Header:
        return self.envelope.header

    @property
    def digest(self) -> bytes:
        return self.envelope.digest


def parse_batch(body: bytes) -> Envelope:
    """The envelope of `application/vnd.didymos.batch`.

    Raises ReadingError `batch.too_large`, `batch.malformed`, `batch.version_unknown`.
    """
    if len(body) > BODY_BYTES:
        raise ReadingError("batch.too_large", "a batch has at most 1 MiB", limit=BODY_BYTES)
    try:
        signed = pb.SignedBatch.FromString(body)
    except DecodeError as error:
        raise ReadingError("batch.malformed", "the body is no SignedBatch message") from error
    return envelope_of(signed)


def envelope_of(signed: pb.SignedBatch) -> Envelope:
    """The same of a parsed message, as gRPC hands it over."""
    blocks = tuple(signed.blocks)
    if len(blocks) > BATCH_BLOCKS:
        raise ReadingError("batch.too_large", "a batch has at most 1,024 blocks", limit=BATCH_BLOCKS)
    header_bytes = signed.header
    header = parse_header(header_bytes)
    if header.block_count != len(blocks) or not blocks:
        raise ReadingError("batch.malformed", "the header counts other blocks than there are", blocks=len(blocks))
    return Envelope(header, header_bytes, sha256(header_bytes).digest(), blocks, signed.signature, signed.kid)


def parse_header(header: bytes) -> Header:
    """Raises ReadingError `batch.malformed`, `batch.version_unknown`."""
    if len(header) > HEADER_BYTES:
        raise ReadingError("batch.malformed", "a header has at most 4 KiB")
    try:
        said = pb.BatchHeader.FromString(header)
    except DecodeError as error:
        raise ReadingError("batch.malformed", "the header is no BatchHeader message") from error
    if said.version != 1:
        raise ReadingError("batch.version_unknown", "this version of the header is not known", version=said.version)
    found = Header(
        said.device, said.audience, said.stream, said.number, said.sent_at_us, said.uptime_us, said.block_count,
        said.root, said.previous, said.backfill, said.profile,
    )  # fmt: skip
    _check_names(found.device, found.audience, found.profile)
    if not 0 <= found.sent_at_us < MICROS or not 0 <= found.uptime_us < MICROS:
        raise ReadingError("batch.malformed", "sent_at_us and uptime_us are microseconds, not negative")
    if not found.sent_at_us and not found.uptime_us:
        raise ReadingError("batch.malformed", "a header says when it was sent, or its uptime if it has no clock")
    if len(found.root) != 32 or len(found.previous) not in (0, 32):
        raise ReadingError("batch.malformed", "root and previous are SHA-256 hashes")
    return found


@lru_cache(maxsize=4096)
def _check_names(device: str, audience: str, profile: str) -> None:
    """The same three in every batch of a device. Raises ReadingError `batch.malformed`, which is not remembered."""
    if not _DID.fullmatch(device) or not _DID.fullmatch(audience):
        raise ReadingError("batch.malformed", "device and audience are DIDs")
    if not _PROFILE.fullmatch(profile):
        raise ReadingError("batch.malformed", "profile is id@version")


def signed_message(header_bytes: bytes, digest: bytes = b"") -> bytes:
    """What the signature covers. `digest`: of the header, if it is known already."""
    return CONTEXT + len(header_bytes).to_bytes(8, "big") + (digest or sha256(header_bytes).digest())


def verify_batch(envelope: Envelope, key: Verifier, audience: str) -> Batch | Refusal:
    """The batch, if `key` (the live key that `envelope.kid` names) signed it for `audience` and its blocks are whole.

    Refusals: `batch.{audience_wrong, key_unknown, signature_invalid, root_mismatch, malformed, too_large}`.
    """
    header = envelope.header
    if header.audience != audience:
        return Refusal("batch.audience_wrong", "the batch is meant for another operator")
    if envelope.kid.partition("#")[0] != header.device:
        return Refusal("batch.key_unknown", "the key is not one of the device that the header names")
    if not key.verify(signed_message(envelope.header_bytes, envelope.digest), envelope.signature):
        return Refusal("batch.signature_invalid", "the key did not sign this header")
    try:
        return batch_of(envelope)
    except ReadingError as error:
        return Refusal(error.code, error.detail)


def batch_of(envelope: Envelope) -> Batch:
    """The batch of an envelope whose signature holds.

    Raises ReadingError `batch.root_mismatch`, and as `parse_blocks`.
    """
    levels = levels_of(envelope.blocks)
    if levels[-1][0] != envelope.header.root:
        raise ReadingError("batch.root_mismatch", "the blocks are not those of the signed root")
    blocks = parse_blocks(envelope.blocks)
    return Batch(envelope, blocks, blocks[-1].first + blocks[-1].size, levels)


def parse_blocks(raw: Sequence[bytes]) -> tuple[Block, ...]:
    """All blocks of a batch, numbered. Raises ReadingError `batch.malformed`, `batch.too_large`."""
    blocks, first = [], 0
    for leaf, each in enumerate(raw):
        block = parse_block(each, leaf, first)
        blocks.append(block)
        first += block.size
        if first > BATCH_READINGS:
            raise ReadingError("batch.too_large", "a batch has at most 10,000 readings", limit=BATCH_READINGS)
    if len({block.twin for block in blocks}) > BATCH_TWINS:
        raise ReadingError("batch.too_large", "a batch has at most 256 twins", limit=BATCH_TWINS)
    return tuple(blocks)


def sign_batch(header: Header, blocks: Sequence[bytes], signer: BatchSigner) -> Envelope:
    """`blocks` under `header`, whose count and root are set here. Signing again gives other bytes only with P-256."""
    said = pb.BatchHeader(
        version=1, device=header.device, audience=header.audience, stream=header.stream, number=header.number,
        sent_at_us=header.sent_at_us, uptime_us=header.uptime_us, block_count=len(blocks), root=root_of(blocks),
        previous=header.previous, backfill=header.backfill, profile=header.profile,
    ).SerializeToString(deterministic=True)  # fmt: skip
    signature = signer.sign(signed_message(said))
    return Envelope(parse_header(said), said, sha256(said).digest(), tuple(blocks), signature, signer.kid)


def message_of(envelope: Envelope, *, blocks: bool = True) -> pb.SignedBatch:
    """The message, with its blocks or, as parcels hold it, without."""
    return pb.SignedBatch(
        header=envelope.header_bytes,
        blocks=envelope.blocks if blocks else (),
        signature=envelope.signature,
        kid=envelope.kid,
    )


def encode_batch(envelope: Envelope) -> bytes:
    """The body of `application/vnd.didymos.batch`."""
    return message_of(envelope).SerializeToString(deterministic=True)


def block_is_signed(header_bytes: bytes, block: bytes, leaf: int, path: bytes) -> bool:
    """Whether `path` leads from `block` to the root in the header: with the signature, the proof of its readings."""
    header = parse_header(header_bytes)
    return root_from_path(block, leaf, header.block_count, path) == header.root
