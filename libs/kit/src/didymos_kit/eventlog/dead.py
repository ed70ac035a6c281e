"""Records that can never be handled: which errors say so, and what is kept of the record. platform.md section 7."""

from typing import Final

from didymos_contracts.errors import Problem, catalogue_row
from didymos_contracts.errors.platform import PLATFORM_INTERNAL, PLATFORM_MALFORMED
from didymos_contracts.topics import DEAD
from google.protobuf.message import DecodeError

from didymos_kit.eventlog.port import Record, Stored

HEADERS: Final = ("dead_topic", "dead_partition", "dead_offset", "dead_group", "dead_code", "dead_at")


def permanent_code(error: Exception) -> str | None:
    """The code to dead-letter under; None for an error that may pass, and for one nobody foresaw.

    A catalogued error says it by its row; bytes that cannot be read (ValueError, DecodeError) never can. All else holds
    its part: a database that is away, or a mistake of ours, must not empty a topic into the dead letters.
    """
    if isinstance(error, Problem):
        return error.row.code if error.row.retry == "never" else None
    code = getattr(error, "code", None)
    row = catalogue_row(code) if isinstance(code, str) else PLATFORM_INTERNAL
    if row is not PLATFORM_INTERNAL:
        return row.code if row.retry == "never" else None
    return PLATFORM_MALFORMED.code if isinstance(error, ValueError | DecodeError) else None


def dead_letter(record: Stored, group: str, code: str, at_ms: int) -> Record:
    """The same key, bytes and headers (`ce_id` too), with where it was, whose handler refused it, why and when."""
    said = (record.topic, str(record.partition), str(record.offset), group, code, str(at_ms))
    added = {name: value.encode() for name, value in zip(HEADERS, said, strict=True)}
    return Record(DEAD.name, record.key, record.value, {**record.headers, **added}, at_ms)
