"""W3C Data Integrity proofs by `eddsa-jcs-2022` (vc-di-eddsa section 3.3), and the clock texts they carry."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from didymos_did.errors import DidError
from didymos_did.jcs import MULTIHASH_SHA256, Json, jcs
from didymos_did.keys import Did, KeyId, KeyKind, PublicKey, Signer, key_of
from didymos_did.multibase import base58_decode, base58_encode

SUITE: Final = "eddsa-jcs-2022"
ASSERTION: Final = "assertionMethod"
_MEMBERS: Final = frozenset({
    "@context", "type", "cryptosuite", "created", "proofPurpose", "verificationMethod", "proofValue",
})  # fmt: skip


def instant_text(at: datetime) -> str:
    """`2026-11-23T18:00:00Z`: UTC, whole seconds. Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: object) -> datetime:
    """Raises DidError `platform.malformed` for any other spelling."""
    try:
        found = datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise DidError("platform.malformed", "a time is written 2026-11-23T18:00:00Z") from error
    if not isinstance(text, str) or instant_text(found) != text:
        raise DidError("platform.malformed", "a time is written 2026-11-23T18:00:00Z")
    return found


@dataclass(frozen=True, slots=True)
class Verified:
    """Whose proof holds, and the multihash of what it holds for: the document without its proof."""

    kid: KeyId
    digest: bytes


def _message(options: dict[str, Any], document_hash: bytes) -> bytes:
    return sha256(jcs(options)).digest() + document_hash


def sign_document(unsecured: dict[str, Any], signer: Signer, created: datetime) -> dict[str, Any]:
    """`unsecured` with a proof of `signer`. The same inputs give the same bytes. Raises DidError `vc.proof_invalid`."""
    if "proof" in unsecured:
        raise DidError("vc.proof_invalid", "the document carries a proof already")
    options = {
        "type": "DataIntegrityProof",
        "cryptosuite": SUITE,
        "created": instant_text(created),
        "verificationMethod": str(signer.kid),
        "proofPurpose": ASSERTION,
    }
    if "@context" in unsecured:
        options["@context"] = unsecured["@context"]
    value = "z" + base58_encode(signer.sign(_message(options, sha256(jcs(unsecured)).digest())))
    return {**unsecured, "proof": {**options, "proofValue": value}}


def verify_document(secured: Json, issuer: Did | None = None, key: PublicKey | None = None) -> Verified:
    """Whose proof holds for what. `issuer`: the DID it must belong to; `key`: used in place of a did:key's own.

    Raises DidError `vc.proof_invalid`, `vc.suite_missing`, `platform.malformed`, `key.*`, `did.malformed`.
    """
    if not isinstance(secured, dict):
        raise DidError("platform.malformed", "an object is expected")
    proof = secured.get("proof")
    if not isinstance(proof, dict) or proof.keys() - _MEMBERS:
        raise DidError("vc.proof_invalid", "one proof with the members of the suite is expected", pointer="/proof")
    if proof.get("type") != "DataIntegrityProof" or proof.get("cryptosuite") != SUITE:
        raise DidError("vc.suite_missing", f"the proof is not of {SUITE}", pointer="/proof/cryptosuite")
    kid, value = proof.get("verificationMethod"), proof.get("proofValue")
    if proof.get("proofPurpose") != ASSERTION or not isinstance(kid, str) or not isinstance(value, str):
        raise DidError("vc.proof_invalid", "the proof is not an assertion of a key", pointer="/proof")
    if issuer is not None and kid.partition("#")[0] != issuer:
        raise DidError("vc.proof_invalid", "the key is not one of the issuer", pointer="/proof/verificationMethod")
    parse_instant(proof.get("created"))
    unsecured = {name: member for name, member in secured.items() if name != "proof"}
    if proof.get("@context") != unsecured.get("@context"):
        raise DidError("vc.proof_invalid", "the proof has another context", pointer="/proof/@context")
    options = {name: member for name, member in proof.items() if name != "proofValue"}
    document_hash, verifier = sha256(jcs(unsecured)).digest(), key or key_of(kid)
    if not verifier.verify(_message(options, document_hash), _signature(value, verifier)):
        raise DidError("vc.proof_invalid", "the signature does not hold", pointer="/proof/proofValue")
    return Verified(KeyId(kid), MULTIHASH_SHA256 + document_hash)


def _signature(value: str, key: PublicKey) -> bytes:
    if key.kind is KeyKind.ED25519 and value.startswith("z"):
        try:
            return base58_decode(value[1:])
        except DidError as error:
            raise DidError("vc.proof_invalid", error.detail, pointer="/proof/proofValue") from error
    raise DidError("vc.proof_invalid", f"{SUITE} takes Ed25519 keys and base58btc", pointer="/proof/proofValue")
