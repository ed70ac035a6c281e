"""The anti-replay window of one device as one twin sees it. data-path.md 8; after RFC 4303 section 3.4.3."""

import struct
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from didymos_readings.errors import ReadingError

WINDOW_BITS: Final = 256  # one twin sees only some of a device's numbers: gaps are normal
RING: Final = 16
LOOSE_RING: Final = 256
STREAMS: Final = 4
DIGEST_BYTES: Final = 8
_MASK: Final = (1 << WINDOW_BITS) - 1
_HEAD: Final = struct.Struct("<BBH")  # layout, streams, loose digests
_STREAM: Final = struct.Struct("<IQ32sB")  # stream, high, bits, ring entries
_ENTRY: Final = struct.Struct(f"<Q{DIGEST_BYTES}s")
_LAYOUT: Final = 1


class Admission(Enum):
    NEW = auto()
    DUPLICATE = auto()  # the same batch again
    CONFLICT = auto()  # another batch under a known number
    BELOW = auto()  # too old for the window: history has to tell


@dataclass(frozen=True, slots=True)
class StreamWindow:
    """Bit i of `bits` is number `high` - i. `ring`: the last 16 numbers admitted, with 8 bytes of their digest."""

    stream: int
    high: int
    bits: int
    ring: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Up to 4 streams, rising; `loose`: the last 256 digests of unnumbered batches."""

    streams: tuple[StreamWindow, ...] = ()
    loose: tuple[bytes, ...] = ()


def admit(window: Window, stream: int, number: int, digest: bytes) -> tuple[Window, Admission]:
    """The window after this batch, and what the batch is to it. NEW comes once per (stream, number)."""
    short = digest[:DIGEST_BYTES]
    if number == 0:
        return _admit_loose(window, short)
    for at, known in enumerate(window.streams):
        if known.stream == stream:
            after, admission = _admit_numbered(known, number, short)
            if after is known:
                return window, admission
            return replace(window, streams=(*window.streams[:at], after, *window.streams[at + 1 :])), admission
    if len(window.streams) == STREAMS and stream < window.streams[0].stream:
        return window, Admission.BELOW
    opened = (*window.streams, StreamWindow(stream, number, 1, ((number, short),)))
    kept = tuple(sorted(opened, key=lambda each: each.stream))[-STREAMS:]
    return replace(window, streams=kept), Admission.NEW


def pack_window(window: Window) -> bytes:
    """The window as bytes: at most ~3.3 KiB, 60 B for a device that just began."""
    parts = [_HEAD.pack(_LAYOUT, len(window.streams), len(window.loose))]
    for each in window.streams:
        bits = each.bits.to_bytes(WINDOW_BITS // 8, "little")
        parts.append(_STREAM.pack(each.stream, each.high, bits, len(each.ring)))
        parts += [_ENTRY.pack(number, digest) for number, digest in each.ring]
    return b"".join([*parts, *window.loose])


def unpack_window(packed: bytes) -> Window:
    """Raises ReadingError `window.malformed` for bytes that `pack_window` did not make."""
    try:
        return _unpacked(packed)
    except (struct.error, ValueError) as error:
        raise ReadingError("window.malformed", "these bytes are no window") from error


def _admit_loose(window: Window, short: bytes) -> tuple[Window, Admission]:
    if short in window.loose:
        return window, Admission.DUPLICATE
    admission = Admission.NEW if len(window.loose) < LOOSE_RING else Admission.BELOW
    return replace(window, loose=(*window.loose, short)[-LOOSE_RING:]), admission


def _admit_numbered(known: StreamWindow, number: int, short: bytes) -> tuple[StreamWindow, Admission]:
    ahead = number - known.high
    if ahead <= -WINDOW_BITS:
        return known, Admission.BELOW
    if ahead <= 0 and known.bits >> -ahead & 1:
        other = any(entry != short for at, entry in known.ring if at == number)
        return known, Admission.CONFLICT if other else Admission.DUPLICATE
    ring = (*known.ring, (number, short))[-RING:]
    if ahead > 0:
        bits = (known.bits << ahead if ahead < WINDOW_BITS else 0) & _MASK | 1
        return StreamWindow(known.stream, number, bits, ring), Admission.NEW
    return StreamWindow(known.stream, known.high, known.bits | 1 << -ahead, ring), Admission.NEW


def _unpacked(packed: bytes) -> Window:
    layout, streams, loose = _HEAD.unpack_from(packed)
    if layout != _LAYOUT or streams > STREAMS or loose > LOOSE_RING:
        raise ValueError("layout or counts")
    at, found = _HEAD.size, []
    for _ in range(streams):
        stream, high, bits, entries = _STREAM.unpack_from(packed, at)
        at += _STREAM.size
        end = at + entries * _ENTRY.size
        if entries > RING or end > len(packed):
            raise ValueError("ring")
        ring = tuple(_ENTRY.iter_unpack(packed[at:end]))
        found.append(StreamWindow(stream, high, int.from_bytes(bits, "little"), ring))
        at = end
    if len(packed) != at + loose * DIGEST_BYTES:
        raise ValueError("length")
    digests = tuple(packed[first : first + DIGEST_BYTES] for first in range(at, len(packed), DIGEST_BYTES))
    return Window(tuple(found), digests)
