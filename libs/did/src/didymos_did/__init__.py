"""Keys, DIDs, proofs, credentials, grants, tokens, seals, and the one decision. Pure: no I/O, no clock."""

from didymos_did.covers import Exceeds, covers
from didymos_did.decide import AccessRequest, Context, Decision, Facts, Reason, Usage, decide
from didymos_did.errors import DidError
from didymos_did.grants import Grant, GrantState, parse_grant, revoked, sign_grant
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
    parse_did,
    parse_key,
    sign_detached,
    verify_detached,
)
from didymos_did.purposes import DPV, Purpose, parse_purpose
from didymos_did.terms import Action, Budget, Task, Term, Terms, make_terms

__all__ = [
    "DPV", "AccessRequest", "Action", "Budget", "Context", "Decision", "Did", "DidError", "Ed25519Signer", "Exceeds",
    "Facts", "Grant", "GrantId", "GrantState", "KeyId", "KeyKind", "PublicKey", "Purpose", "Reason", "Signed", "Signer",
    "Task", "Term", "Terms", "TwinId", "Usage", "covers", "decide", "did_of", "digest", "document", "jcs", "key_of",
    "make_terms", "parse_did", "parse_grant", "parse_key", "parse_purpose", "parse_strict", "revoked", "sign_detached",
    "sign_grant", "strict_object", "verify_detached",
]  # fmt: skip
