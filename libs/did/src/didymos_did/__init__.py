"""Keys, DIDs, proofs, credentials, grants, tokens, seals, and the one decision. Pure: no I/O, no clock."""

from didymos_did.access import (
    AccessRequest,
    Context,
    Decision,
    Effect,
    Facts,
    Freshness,
    Ownership,
    Reason,
    SubjectStatus,
    Usage,
)
from didymos_did.bounds import Bounds, bounds_of, bounds_terms
from didymos_did.conditions import CONSTRAINTS, DUTIES, Value, duration_seconds
from didymos_did.covers import Exceeds, covers, excess, grant_excess
from didymos_did.decide import decide, decision_id
from didymos_did.enrolled import Enrolled
from didymos_did.enrolment import (
    DeviceEnrolment,
    SiteEnrolment,
    parse_device_enrolment,
    parse_site_enrolment,
    sign_device_enrolment,
    sign_site_enrolment,
)
from didymos_did.errors import DidError
from didymos_did.grants import ENDED, Grant, GrantState, parse_grant, revoked, sign_grant
from didymos_did.jcs import digest, jcs, parse_strict, strict_object
from didymos_did.keys import (
    Did,
    Ed25519Signer,
    GrantId,
    KeyId,
    KeyKind,
    PublicKey,
    Signed,
    Signer,
    TwinId,
    did_of,
    document,
    key_of,
    kid_of,
    parse_did,
    parse_key,
    public_key,
    sign_detached,
    verify_detached,
)
from didymos_did.paths import includes, is_path, matches, parse_path, parse_pattern
from didymos_did.proofs import Verified, instant_text, parse_instant, sign_document, verify_document
from didymos_did.purposes import DPV, PURPOSES, Purpose, parse_purpose
from didymos_did.sealing import DataKey, Kek, ParcelKey, epoch_of, living, unwrap, wrap
from didymos_did.statements import (
    DeviceRevocation,
    Erasure,
    Revocation,
    TwinRegistration,
    sign_device_revocation,
    sign_erasure,
    sign_revocation,
    sign_twin_registration,
    verify_device_revocation,
    verify_erasure,
    verify_revocation,
    verify_twin_registration,
)
from didymos_did.terms import Action, Budget, Task, Term, Terms, make_terms, parse_task, read_term, terms_json
from didymos_did.tokens import (
    AccessClaims,
    Assertion,
    Proof,
    ProofKey,
    ReplayCache,
    fresh_nonce,
    issue_token,
    make_assertion,
    make_nonce,
    make_proof,
    replay_key,
    token_kid,
    verify_assertion,
    verify_proof,
    verify_token,
)
from didymos_did.wallet import Cost, Wallet, lock, unlock

__all__ = [
    "CONSTRAINTS", "DPV", "DUTIES", "ENDED", "PURPOSES", "AccessClaims", "AccessRequest", "Action", "Assertion",
    "Bounds", "Budget", "Context", "Cost", "DataKey", "Decision", "DeviceEnrolment", "DeviceRevocation", "Did",
    "DidError", "Ed25519Signer", "Effect", "Enrolled", "Erasure", "Exceeds", "Facts", "Freshness", "Grant", "GrantId",
    "GrantState", "Kek", "KeyId", "KeyKind", "Ownership", "ParcelKey", "Proof", "ProofKey", "PublicKey", "Purpose",
    "Reason", "ReplayCache", "Revocation", "Signed", "Signer", "SiteEnrolment", "SubjectStatus", "Task", "Term",
    "Terms", "TwinId", "TwinRegistration", "Usage", "Value", "Verified", "Wallet", "bounds_of", "bounds_terms",
    "covers", "decide", "decision_id", "did_of", "digest", "document", "duration_seconds", "epoch_of", "excess",
    "fresh_nonce", "grant_excess", "includes", "instant_text", "is_path", "issue_token", "jcs", "key_of", "kid_of",
    "living", "lock", "make_assertion", "make_nonce", "make_proof", "make_terms", "matches",
    "parse_device_enrolment", "parse_did", "parse_grant", "parse_instant", "parse_key", "parse_path",
    "parse_pattern", "parse_purpose", "parse_site_enrolment", "parse_strict", "parse_task", "public_key",
    "read_term", "replay_key", "revoked", "sign_detached", "sign_device_enrolment", "sign_device_revocation",
    "sign_document", "sign_erasure", "sign_grant", "sign_revocation", "sign_site_enrolment",
    "sign_twin_registration", "strict_object", "terms_json", "token_kid", "unlock", "unwrap", "verify_assertion",
    "verify_detached", "verify_device_revocation", "verify_document", "verify_erasure", "verify_proof",
    "verify_revocation", "verify_token", "verify_twin_registration", "wrap",
]  # fmt: skip
