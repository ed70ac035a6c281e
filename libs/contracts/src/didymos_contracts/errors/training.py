"""Errors of the training room: runs, rounds, objects, models. learning.md section 13."""

from didymos_contracts.errors.row import Row

TRAINING_ARCHITECTURE_UNKNOWN = Row(
    "training.architecture_unknown", 422, "INVALID_ARGUMENT", "never", "No such architecture or argument is installed"
)
TRAINING_DEVICE_MISSING = Row(
    "training.device_missing", 503, "FAILED_PRECONDITION", "never", "This machine has no such device to train on"
)
TRAINING_STRATEGY_UNKNOWN = Row(
    "training.strategy_unknown", 422, "INVALID_ARGUMENT", "never", "No such strategy or setting is installed"
)
TRAINING_STRATEGY_NEEDS_INDIVIDUAL = Row(
    "training.strategy_needs_individual", 422, "INVALID_ARGUMENT", "never", "This strategy needs single updates"
)
TRAINING_STRATEGY_NOT_MASKED = Row(
    "training.strategy_not_masked", 422, "INVALID_ARGUMENT", "never", "Masks cannot carry this strategy or compression"
)
TRAINING_SPEC_MALFORMED = Row(
    "training.spec_malformed", 422, "INVALID_ARGUMENT", "never", "The specification of a run breaks its rules"
)
TRAINING_LAYOUT_MISMATCHED = Row(
    "training.layout_mismatched", 422, "INVALID_ARGUMENT", "never", "A vector or layout is not that of the model"
)
TRAINING_EXPORT_UNSUPPORTED = Row(
    "training.export_unsupported", 422, "INVALID_ARGUMENT", "never", "This model cannot be written in that format"
)
TRAINING_UPDATE_NOT_FINITE = Row(
    "training.update_not_finite", 422, "INVALID_ARGUMENT", "never", "An update holds a value that is not finite"
)
TRAINING_NORM_EXCEEDED = Row(
    "training.norm_exceeded", 422, "INVALID_ARGUMENT", "never", "An update is longer than the bound of the run"
)
TRAINING_SERIES_MALFORMED = Row(
    "training.series_malformed", 422, "INVALID_ARGUMENT", "never", "A series of readings breaks its rules"
)
TRAINING_SERIES_SHORT = Row(
    "training.series_short", 422, "INVALID_ARGUMENT", "never", "A series is too short to be cut into windows"
)
TRAINING_VALIDATION_MISMATCHED = Row(
    "training.validation_mismatched", 409, "FAILED_PRECONDITION", "never", "The committed validation data is not here"
)
TRAINING_AGREEMENT_NOT_FINAL = Row(
    "training.agreement_not_final", 409, "FAILED_PRECONDITION", "refresh", "The agreement is not final, or not funded"
)
TRAINING_AGREEMENT_MISMATCHED = Row(
    "training.agreement_mismatched", 409, "FAILED_PRECONDITION", "never", "The agreement is for another run"
)
TRAINING_COHORT_TOO_SMALL = Row(
    "training.cohort_too_small", 409, "FAILED_PRECONDITION", "later", "Too few sites or subjects may take part now"
)
TRAINING_BUDGET_EXHAUSTED = Row(
    "training.budget_exhausted", 409, "FAILED_PRECONDITION", "never", "The grants have no room for this round"
)
TRAINING_RUN_STATE = Row(
    "training.run_state", 409, "FAILED_PRECONDITION", "refresh", "The run is in a state that does not allow this"
)
TRAINING_ROUND_CLOSED = Row(
    "training.round_closed", 409, "ABORTED", "never", "This round or attempt takes no more results"
)
TRAINING_PIECE_MISPLACED = Row(
    "training.piece_misplaced", 416, "OUT_OF_RANGE", "refresh", "A piece does not begin where the object ends"
)
TRAINING_OBJECT_TOO_LARGE = Row(
    "training.object_too_large", 413, "OUT_OF_RANGE", "never", "An object is larger than what may be sent here"
)
TRAINING_DIGEST_MISMATCHED = Row(
    "training.digest_mismatched", 422, "DATA_LOSS", "refresh", "The bytes of an object do not give its name"
)
TRAINING_SIGNAL_INVALID = Row(
    "training.signal_invalid", 422, "INVALID_ARGUMENT", "never", "What a site said does not verify or does not fit"
)
TRAINING_SITE_NOT_ENROLLED = Row(
    "training.site_not_enrolled", 403, "PERMISSION_DENIED", "never", "No pinned organisation enrolled this site"
)
TRAINING_SITE_RESTING = Row(
    "training.site_resting", 503, "UNAVAILABLE", "later", "Whoever runs this site lets it train at other times"
)
TRAINING_LEASE_LOST = Row("training.lease_lost", 503, "UNAVAILABLE", "later", "Another coordinator drives this run now")
TRAINING_ASSUMPTION_OUT_OF_RANGE = Row(
    "training.assumption_out_of_range", 422, "INVALID_ARGUMENT", "never", "An assumed input lies outside its bounds"
)
