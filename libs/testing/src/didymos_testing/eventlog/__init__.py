"""The contract of the event log: one class a promise, bound to every adapter. platform.md section 7.

A binding gives `make_log`, which opens a log for one test, and `tidy`. Topics and groups have fresh names, so a server
may be shared. Nothing here waits for a clock: records carry the age that a promise needs.
"""

from didymos_testing.eventlog.builders import (
    Hooking,
    Member,
    a_group,
    a_member,
    a_record,
    a_topic,
    append,
    numbered,
    poll_for,
    until,
    values,
)
from didymos_testing.eventlog.consuming import DeadLetterContract, DrainContract, HoldContract
from didymos_testing.eventlog.grouping import GroupContract, LagContract, SeekContract
from didymos_testing.eventlog.histories import HistoryContract
from didymos_testing.eventlog.keeping import CompactionContract, RetentionContract
from didymos_testing.eventlog.tailing import TailContract
from didymos_testing.eventlog.writing import WriterContract

__all__ = [
    "CompactionContract",
    "DeadLetterContract",
    "DrainContract",
    "GroupContract",
    "HistoryContract",
    "HoldContract",
    "Hooking",
    "LagContract",
    "Member",
    "RetentionContract",
    "SeekContract",
    "TailContract",
    "WriterContract",
    "a_group",
    "a_member",
    "a_record",
    "a_topic",
    "append",
    "numbered",
    "poll_for",
    "until",
    "values",
]
