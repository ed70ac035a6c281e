"""What applying a parcel needs of it: of each column the reading that holds, without decoding the others.

The same as `decode_parcel` would say, bit for bit, and it raises the same. Arrays of twenty readings cost more to make
than to look through, so plain columns of numbers are read where they lie.
"""

from struct import Struct, unpack
from typing import Final, NamedTuple

import numpy as np
from didymos.ingestion.v1 import ingestion_types_pb2 as pb
from google.protobuf.message import DecodeError

from didymos_readings.block import Kind, Op, parse_block
from didymos_readings.errors import ReadingError
from didymos_readings.parcels import DecodedColumn, column_of
from didymos_readings.quality import REFUSED

_VALUES: Final = {Kind.F64: Struct("<d"), Kind.F32: Struct("<f"), Kind.I64: Struct("<q")}
_REFUSED_BYTE: Final = bytes([REFUSED])
_SCALAR_LOOP: Final = 256  # readings; beyond it numpy is faster
Value = float | bool | str | tuple[float, float, float] | None


class LatestReading(NamedTuple):
    """Of n > 0 accepted readings of a column the last in merge order: latest time, then highest index.

    `value` is in `unit`; None: a retraction. `running` counts in the batch. `qualities`: a byte of each of the n.
    """

    name: str  # of the property
    unit: str
    value: Value
    observed_at_us: int
    running: int
    quality: int
    flags: int
    qualities: bytes

    @property
    def readings(self) -> int:
        return len(self.qualities)


def latest_readings(body: bytes) -> tuple[LatestReading, ...]:
    """Of each column of a ParcelBody that has any. Raises ReadingError `batch.malformed`."""
    try:
        said = pb.ParcelBody.FromString(body)
    except DecodeError as error:
        raise ReadingError("batch.malformed", "the content is no ParcelBody message") from error
    found = [_latest(each) for each in said.blocks]
    return tuple([each for each in found if each is not None])


def _latest(said: pb.Annotated) -> LatestReading | None:
    quality, flags, leaf = said.quality, said.flags, said.leaf
    block = parse_block(said.block, leaf, said.first)
    size, layout = block.size, _VALUES.get(block.kind)
    plain = layout is not None and block.op is Op.READING and not said.curve and size <= _SCALAR_LOOP
    if layout is None or not plain or _REFUSED_BYTE in quality:
        return latest_of(column_of(said))
    if len(quality) != size or len(flags) != size:
        raise ReadingError("batch.malformed", f"block {leaf} has other than one quality for each reading")
    offsets = unpack(f"<{size}i", block.dt)
    latest, at = max(offsets), size - 1
    if offsets[at] != latest:
        at -= offsets[::-1].index(latest)
    value, a, b = float(layout.unpack_from(block.values, at * layout.size)[0]), said.a, said.b
    if (a, b) != (1.0, 0.0):
        value = value * a + b
    return LatestReading(
        block.property, said.unit, value, block.t0_us + latest * block.tick_us + said.shift_us, block.first + at,
        quality[at], flags[at], quality,
    )  # fmt: skip


def latest_of(column: DecodedColumn) -> LatestReading | None:
    """The same of a column that is decoded."""
    if not len(column.t_us):
        return None
    at = len(column.t_us) - 1 - int(np.argmax(column.t_us[::-1]))
    return LatestReading(
        column.property, column.unit, _value(column, at), int(column.t_us[at]), int(column.position[at]) + column.first,
        int(column.quality[at]), int(column.flags[at]), column.quality.tobytes(),
    )  # fmt: skip


def _value(column: DecodedColumn, at: int) -> Value:
    if column.op is Op.RETRACTION:
        return None
    if column.kind is Kind.TEXT:
        return column.texts[at]
    if column.kind is Kind.POINT:
        x, y, z = column.value[at].tolist()
        return (x, y, z)
    found = float(column.value[at])
    return bool(found) if column.kind is Kind.BOOL else found
