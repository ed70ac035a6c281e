"""What both writers do to a record before it is queued."""

from collections.abc import Sequence
from typing import Final

from didymos_contracts.errors.platform import PLATFORM_TOO_LARGE
from didymos_contracts.topics import DEAD

from didymos_kit.eventlog.partition import partition_of
from didymos_kit.eventlog.port import MAX_RECORD_BYTES, Record

DEAD_BYTES: Final = 4096  # more for a dead letter: what says where it came from is added to the largest record, too


def size_of(record: Record) -> int:
    """Bytes of key, value and headers."""
    size = len(record.key) + len(record.value or b"")
    for name, value in record.headers.items():
        size += len(name) + len(value)
    return size


def check_sizes(records: Sequence[Record]) -> int:
    """Bytes of all. Raises `platform.too_large` for a record over the limit."""
    total = 0
    for index, record in enumerate(records):
        size = size_of(record)
        limit = MAX_RECORD_BYTES + (DEAD_BYTES if record.topic == DEAD.name else 0)
        if size > limit:
            detail = f"record {index} for {record.topic} has {size} bytes, the limit is {limit}"
            raise PLATFORM_TOO_LARGE.problem(detail=detail)
        total += size
    return total


def partition_for(record: Record, partitions: int) -> int:
    """Of a topic with that many. The route is the key unless the record says otherwise."""
    return partition_of(record.key if record.route is None else record.route, partitions)
