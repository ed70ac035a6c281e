"""Errors of the twin room. data-path.md 12 and 13. (`twin.suspended` stands with ingestion, which answers it.)"""

from didymos_contracts.errors.row import Row

TWIN_REVISION_CONFLICT = Row(
    "twin.revision_conflict", 412, "ABORTED", "refresh", "The twin was changed since it was read"
)
TWIN_EXISTS = Row("twin.exists", 409, "ALREADY_EXISTS", "never", "This twin was created before")
TWIN_LIFECYCLE_REFUSED = Row(
    "twin.lifecycle_refused", 409, "FAILED_PRECONDITION", "never", "A twin does not move so in its life"
)
TWIN_TOO_MANY_RELATIONS = Row(
    "twin.too_many_relations", 422, "RESOURCE_EXHAUSTED", "never", "A twin has at most 1,000 relations"
)
TWIN_TOO_MANY_DESIRED = Row(
    "twin.too_many_desired", 422, "RESOURCE_EXHAUSTED", "never", "A twin has at most 64 desired values"
)
DESIRED_OUT_OF_BOUNDS = Row(
    "desired.out_of_bounds", 422, "INVALID_ARGUMENT", "never", "The profile does not take this value"
)
QUERY_TOO_WIDE = Row("query.too_wide", 422, "OUT_OF_RANGE", "never", "The query covers more than one answer may")
READ_TOKEN_TIMEOUT = Row(
    "read.token_timeout", 503, "UNAVAILABLE", "later", "What the consistency token names is not here yet"
)
FORECAST_NO_HISTORY = Row(
    "forecast.no_history", 404, "NOT_FOUND", "later", "There is no reading of this property to forecast from"
)
FORECAST_NO_MODEL = Row(
    "forecast.no_model", 409, "FAILED_PRECONDITION", "later", "No model can answer for this twin now"
)
COMMAND_NOT_ALLOWED = Row(
    "command.not_allowed", 403, "PERMISSION_DENIED", "never", "No grant in force covers this command"
)
COMMAND_EXPIRED = Row(
    "command.expired", 409, "FAILED_PRECONDITION", "never", "The command expired before it was decided"
)
PROFILE_SIGNATURE_INVALID = Row(
    "profile.signature_invalid", 422, "INVALID_ARGUMENT", "never", "The profile carries no proof that holds"
)
PROFILE_IMMUTABLE = Row(
    "profile.immutable", 409, "ALREADY_EXISTS", "never", "This id@version says something else: publish a new version"
)
PROFILE_NAME_TAKEN = Row(
    "profile.name_taken", 409, "ALREADY_EXISTS", "never", "Profiles of this name come from somebody else"
)
PROFILE_TOO_MANY = Row(
    "profile.too_many", 409, "RESOURCE_EXHAUSTED", "never", "A house keeps at most 1,000 published profiles"
)
