"""What a log answers before it has merged: a signed statement of where the entries will be. marketplace-ledger.md 2."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from didymos_provenance.entry import b64url, unb64url
from didymos_provenance.errors import ProvenanceError
from didymos_provenance.merkle import HASH_BYTES, Hash
from didymos_provenance.note import NoteKey, NoteSigner
from didymos_provenance.strict import parse_strict

MERGE_SECONDS: Final = 10
_TAG: Final = b"didymos/promise/v1\x00"
_TYPE: Final = "didymos-promise/1"


@dataclass(frozen=True, slots=True)
class Promise:
    """Entries [first, first + count) of `origin` will be those under `root` (RFC 6962) by `merge_by`, UTC seconds."""

    origin: str
    first: int
    count: int
    root: Hash
    merge_by: int

    def encode(self) -> bytes:
        """Canonical JSON: no value needs escaping."""
        return (
            f'{{"count":{self.count},"first":{self.first},"merge_by":{self.merge_by},"origin":"{self.origin}",'
            f'"root":"{b64url(self.root)}","type":"{_TYPE}"}}'
        ).encode()


@dataclass(frozen=True, slots=True)
class SignedPromise:
    """The bytes that were signed, which key signed them, and its signature over tag and SHA-256."""

    body: bytes
    kid: str
    signature: bytes


def sign_promise(promise: Promise, signer: NoteSigner) -> SignedPromise:
    """Signed by the key of the log, under a tag that no checkpoint can be taken for."""
    body = promise.encode()
    return SignedPromise(body, signer.key.kid, signer.sign(_TAG + sha256(body).digest()))


def open_promise(signed: SignedPromise, key: NoteKey) -> Promise:
    """What this log key promised. Raises `ledger.note_invalid` for another key, a bad signature, other bytes."""
    if signed.kid != key.kid or not key.verifies(signed.signature, _TAG + sha256(signed.body).digest()):
        raise ProvenanceError("ledger.note_invalid", at="promise", kid=signed.kid)
    match parse_strict(signed.body, "ledger.note_invalid"):
        case {"origin": str(origin), "first": int(first), "count": int(count), "root": str(root), "merge_by": int(by)}:
            promise = Promise(origin, first, count, unb64url(root), by)
        case _:
            raise ProvenanceError("ledger.note_invalid", at="promise")
    if promise.encode() != signed.body or len(promise.root) != HASH_BYTES or key.name != origin or count < 1:
        raise ProvenanceError("ledger.note_invalid", at="promise")
    return promise
