"""The event log. Services see its port; `envelope` and `consume` are modules beside it; `house` opens an adapter."""

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
