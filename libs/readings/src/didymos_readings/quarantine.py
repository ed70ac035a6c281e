"""Refused readings taken out of quarantine again: proved against the device's signature, cut to what was refused."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from didymos.ingestion.v1 import ingestion_types_pb2 as pb
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from didymos_readings.batch import Header, block_is_signed, parse_header
from didymos_readings.block import Block, Column, Kind, Op, encode_block, parse_block
from didymos_readings.device import pieces
from didymos_readings.errors import ReadingError

_EMPTY: Final[NDArray[Any]] = np.empty(0)


@dataclass(frozen=True, slots=True)
class RefusedBody:
    """The content of a quarantined parcel: blocks whole, as they were signed under `header`."""

    header: Header
    header_bytes: bytes
    signature: bytes
    kid: str
    blocks: tuple[Block, ...]
    original: bytes


def decode_refused(body: bytes) -> RefusedBody:
    """The blocks of a QuarantinedBody, each of which leads to the root of its header.

    Raises ReadingError `batch.malformed`, `batch.root_mismatch`.
    """
    try:
        said = pb.QuarantinedBody.FromString(body)
    except DecodeError as error:
        raise ReadingError("batch.malformed", "the content is no QuarantinedBody message") from error
    signed = said.signed
    for each in said.blocks:
        if not block_is_signed(signed.header, each.block, each.leaf, each.path):
            raise ReadingError("batch.root_mismatch", f"block {each.leaf} is none of those that were signed")
    in_order = sorted(said.blocks, key=lambda each: each.first)
    blocks = tuple(parse_block(each.block, each.leaf, each.first) for each in in_order)
    return RefusedBody(
        parse_header(signed.header), signed.header, signed.signature, signed.kid, blocks, said.original
    )  # fmt: skip


def released_blocks(blocks: Sequence[Block], spans: Iterable[tuple[int, int]], shift_us: int = 0) -> list[bytes]:
    """Blocks of the readings whose running index lies in one of the `spans` (index, count), in their order.

    `shift_us` is added to each time: of a device without a clock it makes UTC of uptime.
    """
    wanted = np.array(sorted({at for first, count in spans for at in range(first, first + count)}), np.int64)
    found: list[bytes] = []
    for block in blocks:
        places = wanted[(wanted >= block.first) & (wanted < block.first + block.size)] - block.first
        if len(places):
            found += [encode_block(piece) for piece in pieces([_column(block, places, shift_us)])]
    return found


def _column(block: Block, places: NDArray[np.int64], shift_us: int) -> Column:
    t_us = block.times()[places] + shift_us
    values: NDArray[Any] | tuple[str, ...]
    if block.op is Op.RETRACTION:
        values = _EMPTY
    elif block.kind is Kind.TEXT:
        texts = block.texts()
        values = tuple(texts[at] for at in places.tolist())
    else:
        values = block.column()[places]
        values = values.astype(np.bool_) if block.kind is Kind.BOOL else values
    return Column(block.twin, block.property, block.unit, t_us, values, block.op)
