"""The event log: its port, the envelope of events, the consume loop. Adapters are imported by `house` alone."""

from didymos_kit.eventlog.port import (
    Committed,
    Earliest,
    EventLog,
    FencedError,
    Group,
    Hooks,
    Part,
    Position,
    Record,
    StaleCommitError,
    Start,
    Stored,
    Tail,
    TailHaltedError,
    Writer,
)

__all__ = [
    "Committed",
    "Earliest",
    "EventLog",
    "FencedError",
    "Group",
    "Hooks",
    "Part",
    "Position",
    "Record",
    "StaleCommitError",
    "Start",
    "Stored",
    "Tail",
    "TailHaltedError",
    "Writer",
]
