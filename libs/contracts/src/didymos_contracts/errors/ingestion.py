"""Errors of the ingestion room. data-path.md section 7."""

from didymos_contracts.errors.row import Row

BATCH_MALFORMED = Row("batch.malformed", 400, "INVALID_ARGUMENT", "never", "The batch cannot be parsed")
BATCH_VERSION_UNKNOWN = Row(
    "batch.version_unknown", 400, "INVALID_ARGUMENT", "never", "This version of the batch is not known here"
)
BATCH_ROOT_MISMATCH = Row(
    "batch.root_mismatch", 400, "INVALID_ARGUMENT", "never", "The blocks are not those of the signed root"
)
BATCH_SIGNATURE_INVALID = Row(
    "batch.signature_invalid", 401, "UNAUTHENTICATED", "never", "The key did not sign this batch"
)
BATCH_KEY_UNKNOWN = Row("batch.key_unknown", 401, "UNAUTHENTICATED", "never", "The device has no such key")
BATCH_AUDIENCE_WRONG = Row(
    "batch.audience_wrong", 401, "UNAUTHENTICATED", "never", "The batch is meant for another operator"
)
BATCH_DEVICE_UNKNOWN = Row("batch.device_unknown", 403, "PERMISSION_DENIED", "never", "No twin enrolled this device")
BATCH_DEVICE_LOST = Row("batch.device_lost", 403, "PERMISSION_DENIED", "never", "The device was reported lost")
BATCH_MEDIA_UNSUPPORTED = Row(
    "batch.media_unsupported", 415, "INVALID_ARGUMENT", "never", "Readings are not taken in this media type"
)
BATCH_TOO_LARGE = Row("batch.too_large", 413, "RESOURCE_EXHAUSTED", "never", "The batch is over a limit; split it")
BATCH_NUMBER_CONFLICT = Row(
    "batch.number_conflict", 409, "ABORTED", "never", "The device sent another batch under this number"
)
BATCH_UNPLACEABLE = Row(
    "batch.unplaceable", 409, "FAILED_PRECONDITION", "never", "History no longer reaches back to this batch"
)
READING_NOT_ENROLLED = Row(
    "reading.not_enrolled", 403, "PERMISSION_DENIED", "never", "The device may not write this property of this twin"
)
READING_PROPERTY_UNKNOWN = Row(
    "reading.property_unknown", 422, "INVALID_ARGUMENT", "never", "The profile has no such property"
)
READING_KIND_MISMATCH = Row(
    "reading.kind_mismatch", 422, "INVALID_ARGUMENT", "never", "The property holds another kind of value"
)
READING_NOT_FINITE = Row("reading.not_finite", 422, "INVALID_ARGUMENT", "never", "The value is no finite number")
READING_UNIT_UNKNOWN = Row("reading.unit_unknown", 422, "INVALID_ARGUMENT", "never", "The unit is no UCUM code")
READING_UNIT_INCOMMENSURABLE = Row(
    "reading.unit_incommensurable", 422, "INVALID_ARGUMENT", "never", "The unit does not convert to the property's"
)
READING_OUT_OF_BOUNDS = Row(
    "reading.out_of_bounds", 422, "INVALID_ARGUMENT", "never", "The value is outside the hard bounds"
)
READING_TIME_AHEAD = Row("reading.time_ahead", 422, "INVALID_ARGUMENT", "never", "The reading lies in the future")
READING_TIME_INVALID = Row("reading.time_invalid", 422, "INVALID_ARGUMENT", "never", "The time is before 1970")
READING_TIME_AMBIGUOUS = Row(
    "reading.time_ambiguous", 422, "INVALID_ARGUMENT", "never", "The local time happened twice; send its zone offset"
)
READING_MALFORMED = Row("reading.malformed", 422, "INVALID_ARGUMENT", "never", "The record cannot be read")
READING_SUBJECT_UNKNOWN = Row(
    "reading.subject_unknown", 422, "INVALID_ARGUMENT", "never", "The name leads to no twin and property"
)
PROFILE_UNKNOWN = Row("profile.unknown", 422, "INVALID_ARGUMENT", "never", "No such profile and version")
TWIN_SUSPENDED = Row("twin.suspended", 409, "FAILED_PRECONDITION", "refresh", "The twin takes no readings now")
PROFILE_MALFORMED = Row("profile.malformed", 422, "INVALID_ARGUMENT", "never", "The profile breaks a rule")
