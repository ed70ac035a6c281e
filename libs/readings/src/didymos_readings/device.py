"""The sender's side: columns become numbered, signed batches. data-path.md 3."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from didymos_readings.batch import (
    BATCH_BLOCKS,
    BATCH_READINGS,
    BATCH_TWINS,
    BODY_BYTES,
    BatchSigner,
    Envelope,
    Header,
    sign_batch,
)
from didymos_readings.block import BLOCK_READINGS, Column, encode_block

_ROOM: Final = BODY_BYTES - 8192  # for header, signature, kid
_SPAN_TICKS: Final = (1 << 31) - 1


class DeviceStream:
    """The batches of one boot of a device, numbered from `number` and chained by digest.

    Store the signed bytes before sending and resend the same bytes. Whoever lost them starts the next `stream`.
    """

    def __init__(
        self, signer: BatchSigner, audience: str, profile: str, stream: int = 1, number: int = 1, previous: bytes = b""
    ) -> None:
        """`previous`: digest of the batch before; of none if `number` is the first that is known here."""
        self._signer = signer
        self._header = Header(
            device=signer.kid.partition("#")[0], audience=audience, stream=stream, number=number, sent_at_us=0,
            uptime_us=0, block_count=0, root=b"", previous=previous, backfill=False, profile=profile,
        )  # fmt: skip

    @property
    def number(self) -> int:
        """The number of the next batch."""
        return self._header.number

    def batches(self, columns: Iterable[Column], sent_at_us: int, *, backfill: bool = False) -> Iterator[Envelope]:
        """As few batches as the limits allow, each signed when it is taken. Raises ReadingError of `encode_block`."""
        blocks: list[bytes] = []
        readings, size, twins = 0, 0, set[str]()
        for piece in pieces(columns):
            block = encode_block(piece)
            count = len(piece.t_us)
            full = len(blocks) == BATCH_BLOCKS or readings + count > BATCH_READINGS or size + len(block) + 8 > _ROOM
            if full or len(twins | {piece.twin}) > BATCH_TWINS:
                yield self._sign(blocks, sent_at_us, backfill=backfill)
                blocks, readings, size, twins = [], 0, 0, set()
            blocks.append(block)
            readings, size = readings + count, size + len(block) + 8
            twins.add(piece.twin)
        if blocks:
            yield self._sign(blocks, sent_at_us, backfill=backfill)

    def batch(self, columns: Iterable[Column], sent_at_us: int, *, backfill: bool = False) -> Envelope:
        """One batch of columns that fit into one."""
        return self._sign([encode_block(piece) for piece in pieces(columns)], sent_at_us, backfill=backfill)

    def batch_without_clock(self, columns: Iterable[Column], uptime_us: int) -> Envelope:
        """One batch of a device without a clock: the times of `columns` and `uptime_us` count from its boot."""
        return self._sign([encode_block(piece) for piece in pieces(columns)], 0, uptime_us=uptime_us, backfill=False)

    def _sign(self, blocks: list[bytes], sent_at_us: int, *, backfill: bool, uptime_us: int = 0) -> Envelope:
        header = self._header._replace(sent_at_us=sent_at_us, uptime_us=uptime_us, backfill=backfill)
        envelope = sign_batch(header, blocks, self._signer)
        self._header = self._header._replace(number=header.number + 1, previous=envelope.digest)
        return envelope


def pieces(columns: Iterable[Column]) -> Iterator[Column]:
    """Columns cut so that each fits a block: at most 1,024 readings, and a span that 32-bit ticks can say."""
    for column in columns:
        t_us = np.asarray(column.t_us, np.int64)
        first = 0
        while first < len(t_us):
            last = first + _fitting(t_us[first : first + BLOCK_READINGS])
            values = column.values if len(column.values) == 0 else column.values[first:last]
            yield replace(column, t_us=t_us[first:last], values=values)
            first = last


def _fitting(t_us: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> int:
    """How many of the first times one block can hold."""
    offsets = np.abs(t_us - t_us[0])
    uneven = np.flatnonzero(offsets % 1000)
    coarse = np.flatnonzero(offsets > _SPAN_TICKS * 1000)
    fine = np.flatnonzero(offsets > _SPAN_TICKS)
    end = int(coarse[0]) if len(coarse) else len(t_us)
    if len(uneven) and len(fine):
        end = min(end, max(int(uneven[0]), int(fine[0])))
    return end
