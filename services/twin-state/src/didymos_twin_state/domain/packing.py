"""Series and rollups as bytes, to be sealed. A reader refuses a layout that it does not know."""

from typing import Any, Final

import msgspec
import numpy as np

from didymos_twin_state.domain.columns import Slab, Source
from didymos_twin_state.domain.rollup import ENTRY, Entries

LAYOUT: Final = 1


class _Series(msgspec.Struct, frozen=True, array_like=True):
    layout: int
    sources: list[Source]
    times: bytes  # int64 little-endian, as all below unless said
    numbers: bytes | None  # float64; None: `values` hold them
    values: list[Any]
    quality: bytes
    flags: bytes
    source: bytes  # int32
    index: bytes
    retracts: bytes  # a byte each


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """Entries of one step. Without a unit that all share they tell nothing (`mixed`): readers go to the series."""

    layout: int
    unit: str
    mixed: bool
    raw: bytes

    @property
    def entries(self) -> Entries:
        return np.frombuffer(self.raw, ENTRY)


_ENCODER: Final = msgspec.msgpack.Encoder()
_SERIES: Final = msgspec.msgpack.Decoder(_Series)
_CHUNK: Final = msgspec.msgpack.Decoder(Chunk)


def pack_slab(slab: Slab) -> bytes:
    plain = isinstance(slab.values, np.ndarray)
    return _ENCODER.encode(
        _Series(
            LAYOUT, list(slab.sources), slab.times_us.astype("<i8").tobytes(),
            np.asarray(slab.values, "<f8").tobytes() if plain else None, [] if plain else list(slab.values),
            slab.quality.tobytes(), slab.flags.tobytes(), slab.source.astype("<i4").tobytes(),
            slab.index.astype("<i8").tobytes(), slab.retracts.astype(np.uint8).tobytes(),
        )
    )  # fmt: skip


def unpack_slab(raw: bytes) -> Slab:
    """Raises msgspec.ValidationError or DecodeError for bytes of no, or of another, layout."""
    said = _SERIES.decode(raw)
    _known(said.layout)
    values: Any = (
        np.frombuffer(said.numbers, "<f8")
        if said.numbers is not None
        else [tuple(each) if isinstance(each, list) else each for each in said.values]
    )
    return Slab(
        tuple(said.sources), np.frombuffer(said.times, "<i8"), values,
        np.frombuffer(said.quality, np.uint8), np.frombuffer(said.flags, np.uint8), np.frombuffer(said.source, "<i4"),
        np.frombuffer(said.index, "<i8"), np.frombuffer(said.retracts, np.uint8).astype(bool),
    )  # fmt: skip


def pack_chunk(entries: Entries, unit: str, *, mixed: bool = False) -> bytes:
    return _ENCODER.encode(Chunk(LAYOUT, unit, mixed, b"" if mixed else entries.tobytes()))


def unpack_chunk(raw: bytes) -> Chunk:
    """Raises as `unpack_slab`."""
    said = _CHUNK.decode(raw)
    _known(said.layout)
    return said


def _known(layout: int) -> None:
    if layout != LAYOUT:
        raise msgspec.ValidationError(f"layout {layout}, this version knows {LAYOUT}")
