"""Blocks: readings of one property of one twin, in columns of little-endian bytes. data-path.md 3."""

from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from didymos.ingestion.v1 import ingestion_types_pb2 as pb
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from didymos_readings.errors import ReadingError

BLOCK_READINGS: Final = 1024
TEXT_BYTES: Final = 1024
NAME_CHARACTERS: Final = 256
TICKS_US: Final = range(1, 1001)  # int32 offsets of at most a millisecond: a block spans <= 24 days

Times: TypeAlias = NDArray[np.int64]  # (n,) microseconds UTC
Values: TypeAlias = NDArray[np.float64]  # (n,), or (n, 3) of points


class Op(IntEnum):
    READING = pb.OP_READING
    RETRACTION = pb.OP_RETRACTION


class Kind(IntEnum):
    F64 = pb.KIND_F64
    F32 = pb.KIND_F32
    I64 = pb.KIND_I64
    BOOL = pb.KIND_BOOL
    POINT = pb.KIND_POINT
    TEXT = pb.KIND_TEXT


NUMBERS: Final = frozenset({Kind.F64, Kind.F32, Kind.I64})
DTYPES: Final = {Kind.F64: "<f8", Kind.F32: "<f4", Kind.I64: "<i8", Kind.BOOL: "u1", Kind.POINT: "<f8"}
WIDTHS: Final = {Kind.F64: 8, Kind.F32: 4, Kind.I64: 8, Kind.BOOL: 1, Kind.POINT: 24}
OP_CODES: Final = {Op.READING: pb.OP_READING, Op.RETRACTION: pb.OP_RETRACTION}
KIND_CODES: Final = {
    Kind.F64: pb.KIND_F64,
    Kind.F32: pb.KIND_F32,
    Kind.I64: pb.KIND_I64,
    Kind.BOOL: pb.KIND_BOOL,
    Kind.POINT: pb.KIND_POINT,
    Kind.TEXT: pb.KIND_TEXT,
}
OPS: Final = {int(op): op for op in Op}
KINDS: Final = {int(kind): kind for kind in Kind}


class Block(NamedTuple):
    """A parsed block. A NamedTuple, not a dataclass: a batch makes one per property, and it is made 4x faster."""

    raw: bytes  # as signed
    leaf: int
    first: int  # running index in the batch of its first reading
    size: int  # readings
    twin: str
    property: str
    unit: str
    op: Op
    kind: Kind
    t0_us: int
    tick_us: int
    dt: bytes
    values: bytes
    ends: bytes

    def times(self) -> Times:
        """(n,) int64 us: t0 + dt * tick. On the scale of the sender's uptime if it has no clock."""
        return np.frombuffer(self.dt, "<i4") * np.int64(self.tick_us) + self.t0_us

    def column(self) -> NDArray[Any]:
        """The values as sent, a read-only view: (n,), of points (n, 3). Not for TEXT."""
        view = np.frombuffer(self.values, DTYPES[self.kind])
        return view.reshape(-1, 3) if self.kind is Kind.POINT else view

    def texts(self) -> tuple[str, ...]:
        """The values of a TEXT block."""
        ends = np.frombuffer(self.ends, "<u4").tolist()
        return tuple(self.values[start:end].decode() for start, end in zip([0, *ends], ends, strict=False))


_from_wire: Final = pb.Block.FromString
_block: Final = partial(tuple.__new__, Block)  # `Block._make` at the speed of C: 100 of them a batch of a gateway


@dataclass(frozen=True, slots=True)
class Column:
    """Readings to be sent: n times (us UTC) and n values, of one property of one twin. `unit` is UCUM."""

    twin: str
    property: str
    unit: str
    t_us: Times
    values: NDArray[Any] | tuple[str, ...]
    op: Op = Op.READING


def parse_block(raw: bytes, leaf: int, first: int) -> Block:
    """A block whose columns fit each other. Raises ReadingError `batch.malformed`."""
    try:
        said = _from_wire(raw)
    except DecodeError as error:
        raise ReadingError("batch.malformed", f"block {leaf} is no Block message") from error
    dt, values, ends = said.dt, said.values, said.ends
    op, kind, tick, count = OPS.get(said.op), KINDS.get(said.kind), said.tick_us, len(dt) // 4
    if op is None or kind is None:
        raise ReadingError("batch.malformed", f"block {leaf} has an unknown op or kind")
    if len(dt) % 4 or not 1 <= count <= BLOCK_READINGS or tick not in TICKS_US:
        raise ReadingError("batch.malformed", f"block {leaf}: 1 to 1024 int32 offsets of ticks of 1 to 1000 us")
    twin, name, unit = said.twin, said.property, said.unit
    if not 1 <= len(twin) <= NAME_CHARACTERS or not 1 <= len(name) <= NAME_CHARACTERS or len(unit) > NAME_CHARACTERS:
        raise ReadingError("batch.malformed", f"block {leaf} needs a twin and a property of at most 256 characters")
    block = _block((raw, leaf, first, count, twin, name, unit, op, kind, said.t0_us, tick, dt, values, ends))
    if op is Op.RETRACTION:
        if values or ends:
            raise ReadingError("batch.malformed", f"block {leaf} takes readings back, so it holds no values")
    elif kind is Kind.TEXT:
        _check_texts(block)
    elif len(values) != count * WIDTHS[kind] or ends:
        raise ReadingError("batch.malformed", f"block {leaf} has other than one {kind.name} value for each time")
    elif kind is Kind.BOOL and max(values) > 1:
        raise ReadingError("batch.malformed", f"block {leaf} has a boolean that is neither 0 nor 1")
    return block


def encode_block(column: Column) -> bytes:
    """The bytes of one block. Raises ReadingError `batch.malformed` for what does not fit in one."""
    count = len(column.t_us)
    if not 1 <= count <= BLOCK_READINGS:
        raise ReadingError("batch.malformed", "a block has 1 to 1024 readings", count=count)
    t_us = np.asarray(column.t_us, np.int64)
    offsets = t_us - t_us[0]
    tick = 1 if (offsets % 1000).any() else 1000
    ticks = offsets // tick
    if abs(int(ticks.min())) >= 1 << 31 or int(ticks.max()) >= 1 << 31:
        raise ReadingError("batch.malformed", "a block's times span at most 2^31 ticks", tick_us=tick)
    kind, values, ends = _encode_values(column)
    return pb.Block(
        twin=column.twin, property=column.property, unit=column.unit, op=OP_CODES[column.op], t0_us=int(t_us[0]),
        tick_us=tick, dt=ticks.astype("<i4").tobytes(), kind=KIND_CODES[kind], values=values, ends=ends,
    ).SerializeToString(deterministic=True)  # fmt: skip


def kind_of(values: NDArray[Any] | tuple[str, ...]) -> Kind:
    """How a column of these values travels. Raises ReadingError `reading.kind_mismatch` for any other dtype."""
    if isinstance(values, tuple):
        return Kind.TEXT
    if values.ndim == 2 and values.shape[1] == 3:
        return Kind.POINT
    by_dtype = {"f8": Kind.F64, "f4": Kind.F32, "i8": Kind.I64, "b1": Kind.BOOL}
    kind = by_dtype.get(values.dtype.str[1:])
    if kind is None or values.ndim != 1:
        raise ReadingError("reading.kind_mismatch", f"values of dtype {values.dtype} cannot be sent")
    return kind


def _encode_values(column: Column) -> tuple[Kind, bytes, bytes]:
    kind = kind_of(column.values)
    if column.op is Op.RETRACTION:
        return kind, b"", b""
    if len(column.values) != len(column.t_us):
        raise ReadingError("batch.malformed", "a block has one value for each time")
    if isinstance(column.values, tuple):
        texts = [text.encode() for text in column.values]
        return kind, b"".join(texts), np.cumsum([len(text) for text in texts]).astype("<u4").tobytes()
    return kind, column.values.astype(DTYPES[kind]).tobytes(), b""


def _check_texts(block: Block) -> None:
    ends = np.frombuffer(block.ends, "<u4").astype(np.int64) if len(block.ends) % 4 == 0 else np.empty(0, np.int64)
    if len(ends) != block.size or ends[-1] != len(block.values):
        raise ReadingError("batch.malformed", f"block {block.leaf} has other than one text for each time")
    lengths = np.diff(ends, prepend=0)
    if lengths.min() < 0 or lengths.max() > TEXT_BYTES:
        raise ReadingError("batch.malformed", f"block {block.leaf}: the ends of its texts fall, or one is over 1 KiB")
    try:
        block.texts()
    except UnicodeDecodeError as error:
        raise ReadingError("batch.malformed", f"block {block.leaf} has a text that is not UTF-8") from error
