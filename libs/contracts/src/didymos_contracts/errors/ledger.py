"""Errors of the ledger room. marketplace-ledger.md sections 3 and 12."""

from didymos_contracts.errors.row import Row

LEDGER_ENTRY_INVALID = Row("ledger.entry_invalid", 422, "INVALID_ARGUMENT", "never", "An entry breaks its rules")
LEDGER_ENTRY_TOO_LARGE = Row("ledger.entry_too_large", 422, "INVALID_ARGUMENT", "never", "An entry is over 1,024 bytes")
LEDGER_FENCED = Row("ledger.fenced", 503, "UNAVAILABLE", "later", "Another writer took over this log")
LEDGER_NOT_YET_PUBLISHED = Row(
    "ledger.not_yet_published", 409, "FAILED_PRECONDITION", "later", "No agreed checkpoint covers this entry yet"
)
LEDGER_ROOT_MISMATCH = Row(
    "ledger.root_mismatch",
    500,
    "DATA_LOSS",
    "never",
    "The stored entries do not give the signed root; nothing is signed",
)
LEDGER_TILE_CONFLICT = Row("ledger.tile_conflict", 500, "DATA_LOSS", "never", "A tile exists with other bytes")
LEDGER_UNKNOWN_ORIGIN = Row("ledger.unknown_origin", 404, "NOT_FOUND", "never", "This witness does not know the log")
LEDGER_UNTRUSTED_SIGNATURE = Row(
    "ledger.untrusted_signature", 403, "PERMISSION_DENIED", "never", "No trusted signature, or one that fails"
)
LEDGER_REQUEST_MALFORMED = Row(
    "ledger.request_malformed", 400, "INVALID_ARGUMENT", "never", "This is no add-checkpoint request"
)
LEDGER_SIZE_CONFLICT = Row(
    "ledger.size_conflict", 409, "ABORTED", "refresh", "The old size is not the size this witness has"
)
LEDGER_INCONSISTENT = Row(
    "ledger.inconsistent", 422, "FAILED_PRECONDITION", "never", "The checkpoint does not extend the one cosigned before"
)
LEDGER_BUNDLE_UNREADABLE = Row("ledger.bundle_unreadable", 400, "INVALID_ARGUMENT", "never", "This is no proof bundle")
LEDGER_POLICY_INVALID = Row(
    "ledger.policy_invalid", 422, "INVALID_ARGUMENT", "never", "A trust policy breaks its rules"
)
LEDGER_NOTE_INVALID = Row("ledger.note_invalid", 422, "INVALID_ARGUMENT", "never", "A signed note does not verify")
LEDGER_QUORUM_MISSING = Row(
    "ledger.quorum_missing", 409, "FAILED_PRECONDITION", "later", "Too few witnesses cosigned the checkpoint"
)
LEDGER_PROOF_INVALID = Row("ledger.proof_invalid", 422, "INVALID_ARGUMENT", "never", "A Merkle proof does not verify")
