"""Errors of the identity room: keys, DIDs, credentials, grants, tokens, seals. identity.md section 13."""

from didymos_contracts.errors.row import Row

KEY_MALFORMED = Row("key.malformed", 422, "INVALID_ARGUMENT", "never", "Not a key, or not in its one spelling")
KEY_WEAK = Row("key.weak", 422, "INVALID_ARGUMENT", "never", "A key under which one signature fits every message")
KEY_DESTROYED = Row("key.destroyed", 410, "FAILED_PRECONDITION", "never", "The key of this twin was destroyed")
DID_MALFORMED = Row("did.malformed", 422, "INVALID_ARGUMENT", "never", "Not a DID that is resolved here")
VC_PROOF_INVALID = Row("vc.proof_invalid", 422, "INVALID_ARGUMENT", "never", "The proof does not hold")
VC_SUITE_MISSING = Row("vc.suite_missing", 422, "INVALID_ARGUMENT", "never", "A needed proof suite is missing")
VC_UNKNOWN_CONTEXT = Row("vc.unknown_context", 422, "INVALID_ARGUMENT", "never", "A context that is not accepted here")
VC_UNKNOWN_TYPE = Row("vc.unknown_type", 422, "INVALID_ARGUMENT", "never", "Another type of credential")
GRANT_ID_MALFORMED = Row("grant.id_malformed", 422, "INVALID_ARGUMENT", "never", "Not an id of a grant")
GRANT_ID_CONFLICT = Row("grant.id_conflict", 409, "ALREADY_EXISTS", "never", "Another grant has this id")
GRANT_PATH_MALFORMED = Row("grant.path_malformed", 422, "INVALID_ARGUMENT", "never", "Not a path or pattern of paths")
GRANT_PURPOSE_UNKNOWN = Row(
    "grant.purpose_unknown", 422, "INVALID_ARGUMENT", "never", "Not a purpose of the vocabulary"
)
GRANT_ACTION_UNKNOWN = Row("grant.action_unknown", 422, "INVALID_ARGUMENT", "never", "Not an action")
GRANT_TERM_UNKNOWN = Row("grant.term_unknown", 422, "INVALID_ARGUMENT", "never", "Not a constraint or duty")
GRANT_TERM_MALFORMED = Row("grant.term_malformed", 422, "INVALID_ARGUMENT", "never", "A term has a value of no use")
GRANT_TASK_REQUIRED = Row("grant.task_required", 422, "INVALID_ARGUMENT", "never", "Learning needs a task")
GRANT_WINDOW_INVALID = Row("grant.window_invalid", 422, "INVALID_ARGUMENT", "never", "Not a window of at most a year")
GRANT_NOT_OWNER = Row("grant.not_owner", 422, "INVALID_ARGUMENT", "never", "The issuer does not own the twin")
GRANT_REVOCATION_INVALID = Row("grant.revocation_invalid", 422, "INVALID_ARGUMENT", "never", "No live key signed this")
GRANT_OTHER_CREDENTIAL = Row("grant.other_credential", 409, "ABORTED", "refresh", "Signed for another credential")
ENROLMENT_INVALID = Row("enrolment.invalid", 422, "INVALID_ARGUMENT", "never", "Not an enrolment that can be used")
ENROLMENT_WINDOW_INVALID = Row(
    "enrolment.window_invalid", 422, "INVALID_ARGUMENT", "never", "Not a window of at most two years"
)
TWIN_OWNED = Row("identity.twin_owned", 409, "ALREADY_EXISTS", "never", "This twin has an owner")
SEAL_INVALID = Row("seal.invalid", 422, "DATA_LOSS", "never", "Sealed bytes that this key does not open")
WALLET_CANNOT_OPEN = Row("wallet.cannot_open", 422, "INVALID_ARGUMENT", "never", "The wallet cannot be opened")
WALLET_NO_SUCH_KEY = Row("wallet.no_such_key", 404, "NOT_FOUND", "never", "The wallet holds no such key")
AUTH_USE_DPOP_NONCE = Row("auth.use_dpop_nonce", 401, "UNAUTHENTICATED", "refresh", "Prove again with the nonce given")
AUTH_REPLAYED = Row("auth.replayed", 401, "UNAUTHENTICATED", "never", "This proof was used before")
AUTH_UNAVAILABLE = Row("auth.unavailable", 503, "UNAVAILABLE", "later", "Proofs cannot be checked for replay now")
CONSENT_STALE = Row("consent.stale", 503, "UNAVAILABLE", "later", "What owners allow is not known freshly enough")
