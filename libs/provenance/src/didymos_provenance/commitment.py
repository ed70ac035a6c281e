"""Salted commitments: what the log holds instead of a record. marketplace-ledger.md section 1.

The salt is 32 fresh bytes from the operating system for each record. With salt and record destroyed, what stays in
the log says nothing about either.
"""

from hashlib import sha256
from hmac import compare_digest
from typing import Final, NewType

from didymos_provenance.errors import ProvenanceError

Salt = NewType("Salt", bytes)
Commitment = NewType("Commitment", bytes)
SALT_BYTES: Final = 32
_TAG: Final = b"didymos/commit/v1\x00"


def commit(record: bytes, salt: Salt) -> Commitment:
    """SHA-256(tag || 0x00 || salt || record): 32 bytes over the canonical JSON of a record."""
    if len(salt) != SALT_BYTES:
        raise ProvenanceError("ledger.entry_invalid", member="salt", bytes=len(salt))
    return Commitment(sha256(_TAG + salt + record).digest())


def opens(commitment: bytes, record: bytes, salt: Salt) -> bool:
    """Whether this record with this salt is what was committed to."""
    return compare_digest(commit(record, salt), commitment)
