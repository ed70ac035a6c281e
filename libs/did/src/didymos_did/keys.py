"""Keys, their Multikey texts, and signatures. The algorithm follows from the key, never from the message.

W3C Controlled Identifiers 1.0 (Multikey); RFC 8032; identity.md section 2.
"""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from typing import Final, NewType, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from didymos_did.errors import DidError
from didymos_did.multibase import base58_decode, base58_encode

Did = NewType("Did", str)
KeyId = NewType("KeyId", str)
TwinId = NewType("TwinId", str)
GrantId = NewType("GrantId", str)


class KeyKind(Enum):
    """Kind of key; the value is its multicodec prefix (unsigned varint)."""

    ED25519 = b"\xed\x01"
    P256 = b"\x80\x24"


_METHOD: Final = "did:key:"
_SIZES: Final = {KeyKind.ED25519: 32, KeyKind.P256: 33}
_P: Final = 2**255 - 19
_ORDER_8: Final = (
    2707385501144840649318225287225658788936804267575313519463743609750303402022,
    55188659117513257062467267217118295137698188065244968500265048394206261417927,
)
WEAK_Y: Final = frozenset({0, 1, _P - 1, *_ORDER_8})  # points of small order: one signature fits all messages


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that was checked: on its curve, not weak. `raw`: 32 bytes, or a compressed point of 33."""

    kind: KeyKind
    raw: bytes

    @property
    def multikey(self) -> str:
        return "z" + base58_encode(self.kind.value + self.raw)

    @property
    def y(self) -> bytes:
        """The second coordinate of a P-256 point, 32 bytes. Raises DidError `key.malformed` for other kinds."""
        if self.kind is not KeyKind.P256:
            raise DidError("key.malformed", f"{self.kind.name} keys have no second coordinate")
        return _p256(self.raw).public_numbers().y.to_bytes(32, "big")

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether this key signed `message`. Ed25519: RFC 8032; P-256: ECDSA with SHA-256, r || s of 32 bytes each."""
        if len(signature) != 64:
            return False
        try:
            if self.kind is KeyKind.ED25519:
                _ed25519(self.raw).verify(signature, message)
            else:
                r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
                _p256(self.raw).verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


@lru_cache(maxsize=4096)
def _ed25519(raw: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(raw)


@lru_cache(maxsize=1024)
def _p256(raw: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)


def public_key(kind: KeyKind, raw: bytes) -> PublicKey:
    """Raises DidError `key.malformed` (size, not on the curve), `key.weak` (small order, y >= p)."""
    if len(raw) != _SIZES[kind]:
        raise DidError("key.malformed", f"{kind.name} keys have {_SIZES[kind]} bytes, this one {len(raw)}")
    if kind is KeyKind.ED25519:
        y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
        if y >= _P or y in WEAK_Y:
            raise DidError("key.weak", "an Ed25519 point of small order, or one that is not canonical")
    try:
        _ed25519(raw) if kind is KeyKind.ED25519 else _p256(raw)
    except ValueError as error:
        raise DidError("key.malformed", f"not a point of {kind.name}") from error
    return PublicKey(kind, raw)


@lru_cache(maxsize=8192)
def parse_key(multikey: str) -> PublicKey:
    """The key of a Multikey text. Raises DidError `key.malformed`, `key.weak`."""
    if not multikey.startswith("z"):
        raise DidError("key.malformed", "a key is written in base58btc, with a z before it")
    raw = base58_decode(multikey[1:])
    for kind in KeyKind:
        if raw.startswith(kind.value):
            return public_key(kind, raw[len(kind.value) :])
    raise DidError("key.malformed", "a kind of key that is not known here")


def parse_did(text: str) -> Did:
    """A did:key of a known kind, in its one spelling. Raises DidError `did.malformed`, `key.*`."""
    if not text.startswith(_METHOD) or len(text) > 128:
        raise DidError("did.malformed", "only did:key is resolved in this version")
    parse_key(text.removeprefix(_METHOD))
    return Did(text)


def did_of(key: PublicKey) -> Did:
    """The did:key of a key."""
    return Did(f"{_METHOD}{key.multikey}")


def kid_of(key: PublicKey) -> KeyId:
    """The key's id as a verification method of its did:key."""
    return KeyId(f"{_METHOD}{key.multikey}#{key.multikey}")


def key_of(kid: KeyId | str) -> PublicKey:
    """The key that a did:key verification method names. Raises DidError `did.malformed`, `key.*`."""
    did, _, fragment = str(kid).partition("#")
    if fragment != parse_did(did).removeprefix(_METHOD):
        raise DidError("did.malformed", "the fragment of a did:key is its key")
    return parse_key(fragment)


def document(did: Did) -> dict[str, object]:
    """The DID document of a did:key. Raises DidError. did:key method, section 3.1."""
    multikey = parse_did(did).removeprefix(_METHOD)
    kid = f"{did}#{multikey}"
    method = {"id": kid, "type": "Multikey", "controller": str(did), "publicKeyMultibase": multikey}
    return {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": str(did),
        "verificationMethod": [method],
        "authentication": [kid],
        "assertionMethod": [kid],
        "capabilityInvocation": [kid],
    }


class Signer(Protocol):
    """Whoever can sign with a key: a seed in memory, a wallet, an HSM."""

    @property
    def kid(self) -> KeyId: ...

    @property
    def did(self) -> Did: ...

    def sign(self, message: bytes) -> bytes: ...


class Ed25519Signer:
    """Signs with the key of a 32-byte seed. Its did:key names it unless another key id is given."""

    def __init__(self, seed: bytes, kid: KeyId | None = None) -> None:
        if len(seed) != 32:
            raise DidError("key.malformed", f"a seed has 32 bytes, this one {len(seed)}")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = PublicKey(KeyKind.ED25519, self._private.public_key().public_bytes_raw())
        self.kid = kid or kid_of(self.public)

    @property
    def did(self) -> Did:
        return Did(self.kid.partition("#")[0])

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"Ed25519Signer({self.kid})"


@dataclass(frozen=True, slots=True)
class Signed:
    """A body as received, with a detached signature over a tag and its hash."""

    body: bytes
    kid: KeyId
    signature: bytes

    @property
    def did(self) -> Did:
        return Did(self.kid.partition("#")[0])


def detached_message(what: str, body: bytes) -> bytes:
    """What a detached signature covers: `didymos/<what>/v1`, a zero byte, SHA-256 of the body."""
    return f"didymos/{what}/v1".encode() + b"\0" + sha256(body).digest()


def sign_detached(what: str, body: bytes, signer: Signer) -> Signed:
    return Signed(body, signer.kid, signer.sign(detached_message(what, body)))


def verify_detached(what: str, signed: Signed, key: PublicKey | None = None) -> bool:
    """Whether `key`, by default the one that its did:key names, signed this body as `what`."""
    try:
        verifier = key or key_of(signed.kid)
    except DidError:
        return False
    return verifier.verify(detached_message(what, signed.body), signed.signature)
