"""Errors of the steward room."""

from didymos_contracts.errors.row import Row

STEWARD_BOUNDS_UNUSABLE = Row(
    "steward.bounds_unusable", 422, "FAILED_PRECONDITION", "never", "No live grant bounds this steward"
)
STEWARD_BAND_EMPTY = Row("steward.band_empty", 422, "INVALID_ARGUMENT", "never", "A band has low below high")
STEWARD_NOT_UNDOABLE = Row(
    "steward.not_undoable", 409, "FAILED_PRECONDITION", "never", "A refused act had no effect to take back"
)
