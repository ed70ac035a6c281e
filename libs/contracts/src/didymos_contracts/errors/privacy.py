"""Errors of the privacy room: secure aggregation and budgets. privacy.md section 10."""

from didymos_contracts.errors.row import Row

PRIVACY_ADVERT_INVALID = Row(
    "privacy.advert_invalid", 422, "INVALID_ARGUMENT", "never", "Not signed by this site, or no keys of this suite"
)
PRIVACY_KEY_WEAK = Row("privacy.key_weak", 422, "INVALID_ARGUMENT", "never", "A key that agrees on nothing secret")
PRIVACY_CIPHERTEXT_INVALID = Row(
    "privacy.ciphertext_invalid", 422, "INVALID_ARGUMENT", "never", "Not a key encapsulation of this suite"
)
PRIVACY_LIST_INCONSISTENT = Row(
    "privacy.list_inconsistent", 409, "FAILED_PRECONDITION", "never", "The list of this attempt contradicts itself"
)
PRIVACY_NEIGHBOURS_TOO_FEW = Row(
    "privacy.neighbours_too_few", 409, "FAILED_PRECONDITION", "later", "Too few sites to hide one among them"
)
PRIVACY_NEIGHBOUR_UNKNOWN = Row(
    "privacy.neighbour_unknown", 409, "FAILED_PRECONDITION", "never", "No pinned organisation enrolled a neighbour"
)
PRIVACY_BOX_INVALID = Row(
    "privacy.box_invalid", 422, "FAILED_PRECONDITION", "never", "A box that was not sealed for this pair and place"
)
PRIVACY_SHARE_INVALID = Row(
    "privacy.share_invalid", 422, "INVALID_ARGUMENT", "never", "Shares that cannot be, or do not belong together"
)
PRIVACY_SECOND_LIST_REFUSED = Row(
    "privacy.second_list_refused", 409, "FAILED_PRECONDITION", "never", "One survivor list a round is confirmed"
)
PRIVACY_SECOND_VECTOR_REFUSED = Row(
    "privacy.second_vector_refused", 409, "FAILED_PRECONDITION", "never", "One vector a round is masked"
)
PRIVACY_OVERLAP_REFUSED = Row(
    "privacy.overlap_refused", 409, "FAILED_PRECONDITION", "never", "A site cannot be listed twice, or from elsewhere"
)
PRIVACY_STEP_OUT_OF_ORDER = Row(
    "privacy.step_out_of_order", 409, "FAILED_PRECONDITION", "never", "This step does not follow where the round stands"
)
PRIVACY_VECTOR_MISMATCHED = Row(
    "privacy.vector_mismatched", 422, "INVALID_ARGUMENT", "never", "A vector of another length, or over the bound"
)
PRIVACY_COMMITMENT_MISMATCHED = Row(
    "privacy.commitment_mismatched", 409, "ABORTED", "later", "An opened secret is not the one committed to"
)
PRIVACY_SEED_DISPUTED = Row(
    "privacy.seed_disputed", 409, "ABORTED", "later", "Two sites name different seeds of one mask"
)
PRIVACY_THRESHOLD_MISSED = Row(
    "privacy.threshold_missed", 409, "ABORTED", "later", "Too few sites are left to open the sum"
)
PRIVACY_STATE_MALFORMED = Row(
    "privacy.state_malformed", 500, "DATA_LOSS", "never", "What was kept of a round cannot be read"
)
PRIVACY_NOT_GRANTED = Row(
    "privacy.not_granted", 403, "PERMISSION_DENIED", "never", "No grant lets these subjects be used for this"
)
PRIVACY_ORDER_INVALID = Row(
    "privacy.order_invalid", 422, "INVALID_ARGUMENT", "never", "Not an order of the coordinator that is pinned here"
)
PRIVACY_BUDGET_EXHAUSTED = Row(
    "privacy.budget_exhausted", 409, "FAILED_PRECONDITION", "never", "The grant has no round left for this buyer"
)
