"""The write-ahead log: what is in a whole frame is durable, the rest was never acknowledged.

Frame: `magic | epoch u64 | first index u64 | count u32 | cursors u16 | bytes u32` (big-endian), the cursors
(`u16 length, topic, u32 partition, u64 next`), the event ids of 16 bytes, the entries in bundle encoding, and the
CRC-32 of all that. A segment file is named by the index of its first entry.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Final
from zlib import crc32

from didymos_contracts.errors.ledger import LEDGER_ROOT_MISMATCH
from didymos_provenance import ProvenanceError, decode_entries, encode_entries

from didymos_ledger.domain.batch import EVENT_ID_BYTES, SourceCursor

SEGMENT_BYTES: Final = 256 << 20
_MAGIC: Final = b"DLW1"
_HEADER: Final = struct.Struct(">4sQQIHI")
_CURSOR: Final = struct.Struct(">IQ")
_CRC: Final = struct.Struct(">I")
_KEPT_SEGMENTS: Final = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """Entries [first, first + n) with the event ids they came under, and where their sources stand after them."""

    epoch: int
    first: int
    event_ids: tuple[bytes, ...]
    entries: tuple[bytes, ...]
    cursors: tuple[SourceCursor, ...] = ()

    @property
    def end(self) -> int:
        return self.first + len(self.entries)


def encode_frame(frame: Frame) -> bytes:
    cursors = b"".join(_encode_cursor(cursor) for cursor in frame.cursors)
    body = cursors + b"".join(frame.event_ids) + encode_entries(frame.entries)
    count = len(frame.entries)
    header = _HEADER.pack(_MAGIC, frame.epoch, frame.first, count, len(frame.cursors), len(body))
    return header + body + _CRC.pack(crc32(body, crc32(header)))


def decode_frames(raw: bytes) -> Iterator[tuple[Frame, int]]:
    """The whole frames at the start of `raw`, each with the offset after it; ends at the first that is not whole."""
    at = 0
    while at + _HEADER.size <= len(raw):
        magic, epoch, first, count, cursors, size = _HEADER.unpack_from(raw, at)
        start, end = at + _HEADER.size, at + _HEADER.size + size
        if magic != _MAGIC or end + _CRC.size > len(raw):
            return
        if crc32(raw[at:end]) != _CRC.unpack_from(raw, end)[0]:
            return
        frame = _decode_body(raw[start:end], epoch, first, count, cursors)
        if frame is None:
            return
        at = end + _CRC.size
        yield frame, at


class Wal:
    """The segments of one log in a folder. One process, one thread: whoever opens it holds the lock of the folder."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._limit = folder, segment_bytes
        self._file: int | None = None
        self._bytes = self._cut = 0

    def replay(self, base: int) -> Iterator[Frame]:
        """The whole frames that reach above index `base`, in order; what is broken at the end is left for `open`.

        Raises LEDGER_ROOT_MISMATCH if a segment before the last is broken or indices do not join.
        """
        segments, expected = self._segments(), None
        self._cut = 0
        for segment, following in zip_longest(segments, segments[1:]):
            if following is not None and int(following.stem) <= base:
                continue
            raw, end = segment.read_bytes(), 0
            for frame, end in decode_frames(raw):  # noqa: B007 - `end` is used after the loop
                if expected not in (None, frame.first):
                    raise LEDGER_ROOT_MISMATCH.problem(segment=segment.name, expected=expected, actual=frame.first)
                expected = frame.end
                if frame.end >= base:
                    yield frame
            if end != len(raw) and following is not None:
                raise LEDGER_ROOT_MISMATCH.problem(segment=segment.name, at=end)
            self._cut = end

    def open(self, next_index: int) -> None:
        """Cut what `replay` found broken at the end, and go on behind it."""
        segments = self._segments()
        path = segments[-1] if segments else self._path(next_index)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._bytes = self._cut if segments else 0
        os.ftruncate(self._file, self._bytes)
        os.lseek(self._file, self._bytes, os.SEEK_SET)
        os.fsync(self._file)
        _sync_folder(self._folder)

    def append(self, frame: Frame) -> None:
        """Durable when it returns. Raises OSError; after that nothing is known of this file and it must not go on."""
        if self._bytes >= self._limit:
            self._roll(frame.first)
        if self._file is None:
            raise RuntimeError("the log is not open")
        raw = encode_frame(frame)
        view = memoryview(raw)
        while view:
            view = view[os.write(self._file, view) :]
        os.fdatasync(self._file)
        self._bytes += len(raw)

    def forget(self, below: int) -> None:
        """Delete segments whose entries are all below index `below`, but never the last two."""
        segments = self._segments()
        for segment, following in pairwise(segments[: 1 - _KEPT_SEGMENTS]):
            if int(following.stem) <= below:
                segment.unlink()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _roll(self, first: int) -> None:
        self.close()
        self._file = os.open(self._path(first), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._bytes = 0
        _sync_folder(self._folder)

    def _segments(self) -> Sequence[Path]:
        return sorted(self._folder.glob("*.wal"))

    def _path(self, first: int) -> Path:
        return self._folder / f"{first:020d}.wal"


def _encode_cursor(cursor: SourceCursor) -> bytes:
    topic = cursor.topic.encode()
    return struct.pack(">H", len(topic)) + topic + _CURSOR.pack(cursor.partition, cursor.next_offset)


def _decode_body(body: bytes, epoch: int, first: int, count: int, cursors: int) -> Frame | None:
    """None for a body that its header does not fit: the writer never made it."""
    try:
        found, at = list[SourceCursor](), 0
        for _ in range(cursors):
            start = at + 2
            end = start + int.from_bytes(body[at:start], "big")
            found.append(SourceCursor(body[start:end].decode(), *_CURSOR.unpack_from(body, end)))
            at = end + _CURSOR.size
        ids_end = at + EVENT_ID_BYTES * count
        entries = decode_entries(body[ids_end:])
    except (struct.error, UnicodeDecodeError, ProvenanceError):
        return None
    event_ids = tuple(body[i : i + EVENT_ID_BYTES] for i in range(at, ids_end, EVENT_ID_BYTES))
    return Frame(epoch, first, event_ids, entries, tuple(found)) if len(entries) == count else None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
