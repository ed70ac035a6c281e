"""Errors that every service may answer. platform.md section 4."""

from didymos_contracts.errors.row import Row

PLATFORM_MALFORMED = Row("platform.malformed", 400, "INVALID_ARGUMENT", "never", "The input cannot be parsed")
PLATFORM_INVALID_FIELD = Row("platform.invalid_field", 422, "INVALID_ARGUMENT", "never", "A field breaks its rule")
PLATFORM_UNKNOWN_FIELD = Row("platform.unknown_field", 422, "INVALID_ARGUMENT", "never", "A field is not known here")
PLATFORM_TOO_LARGE = Row("platform.too_large", 413, "RESOURCE_EXHAUSTED", "never", "The input is over the limit")
PLATFORM_UNSUPPORTED_MEDIA = Row(
    "platform.unsupported_media", 415, "INVALID_ARGUMENT", "never", "This media type is not accepted here"
)
PLATFORM_METHOD_NOT_ALLOWED = Row(
    "platform.method_not_allowed", 405, "INVALID_ARGUMENT", "never", "This method is not accepted here"
)
PLATFORM_UNAUTHENTICATED = Row(
    "platform.unauthenticated", 401, "UNAUTHENTICATED", "never", "No valid proof of identity"
)
PLATFORM_FORBIDDEN = Row("platform.forbidden", 403, "PERMISSION_DENIED", "never", "Not allowed")
PLATFORM_NOT_FOUND = Row("platform.not_found", 404, "NOT_FOUND", "never", "Unknown, or not yours to see")
PLATFORM_STALE = Row("platform.stale", 412, "ABORTED", "refresh", "The resource changed since it was read")
PLATFORM_PRECONDITION_REQUIRED = Row(
    "platform.precondition_required", 428, "FAILED_PRECONDITION", "refresh", "If-Match is required"
)
PLATFORM_IDEMPOTENCY_MISMATCH = Row(
    "platform.idempotency_mismatch", 422, "INVALID_ARGUMENT", "never", "This idempotency key came with another body"
)
PLATFORM_IDEMPOTENCY_BUSY = Row(
    "platform.idempotency_busy", 409, "ABORTED", "later", "The first request with this key is still in flight"
)
PLATFORM_OVERLOADED = Row("platform.overloaded", 429, "RESOURCE_EXHAUSTED", "later", "The queue is full")
PLATFORM_UNAVAILABLE = Row("platform.unavailable", 503, "UNAVAILABLE", "later", "A dependency is away")
PLATFORM_DEADLINE = Row("platform.deadline", 504, "DEADLINE_EXCEEDED", "later", "The deadline passed")
PLATFORM_INTERNAL = Row("platform.internal", 500, "INTERNAL", "later", "Our mistake; the trace id names it")
PLATFORM_UNKNOWN_SETTING = Row("platform.unknown_setting", 422, "INVALID_ARGUMENT", "never", "No such setting")
PLATFORM_INVALID_SETTING = Row(
    "platform.invalid_setting", 422, "INVALID_ARGUMENT", "never", "A setting has a bad value"
)
PLATFORM_FOLDER_LOCKED = Row(
    "platform.folder_locked", 409, "FAILED_PRECONDITION", "later", "Another process uses this data folder"
)
PLATFORM_OFFSET_LOST = Row("platform.offset_lost", 500, "DATA_LOSS", "never", "The log no longer holds this offset")
PLATFORM_TOPIC_MISMATCH = Row(
    "platform.topic_mismatch", 500, "FAILED_PRECONDITION", "never", "The topic exists with other partitions or cleanup"
)
PLATFORM_SCHEMA_BEHIND = Row(
    "platform.schema_behind", 503, "FAILED_PRECONDITION", "later", "The database schema is behind; run the migrations"
)
QUOTA_EXCEEDED = Row("quota.exceeded", 429, "RESOURCE_EXHAUSTED", "later", "Over the quota of this caller")
