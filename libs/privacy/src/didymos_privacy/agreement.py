"""Keys between two sites: X25519 (RFC 7748) and ML-KEM-768 (FIPS 203) together. privacy.md section 3, step AGREE.

Who breaks one of the two, now or later, still does not have the root. A ciphertext that was exchanged on the way gives
two different roots, and no box opens.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from didymos_privacy.errors import PrivacyError
from didymos_privacy.kdf import derived, hashed

X25519_BYTES: Final = 32
MLKEM_BYTES: Final = 1184
CIPHERTEXT_BYTES: Final = 1088
TAG_BYTES: Final = 16
_PROBE: Final = X25519PrivateKey.from_private_bytes(bytes(32))  # clamped as every key is: a weak point gives zero
_ZERO_NONCE: Final = bytes(12)  # each key seals one message


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The two public keys of a site in one attempt."""

    x25519: bytes
    mlkem: bytes


class Keys:
    """The two private keys of a site in one attempt, both from `secret` (32 fresh bytes)."""

    def __init__(self, secret: bytes) -> None:
        self._x25519 = X25519PrivateKey.from_private_bytes(derived(secret, "didymos/sa-x25519/v1"))
        self._mlkem = MLKEM768PrivateKey.from_seed_bytes(derived(secret, "didymos/sa-mlkem/v1", size=64))

    @property
    def public(self) -> PublicKeys:
        return PublicKeys(self._x25519.public_key().public_bytes_raw(), self._mlkem.public_key().public_bytes_raw())

    def exchange(self, x25519: bytes) -> bytes:
        """Raises PrivacyError `privacy.key_weak` for a point of small order."""
        try:
            return self._x25519.exchange(X25519PublicKey.from_public_bytes(x25519))
        except ValueError as error:
            raise PrivacyError("privacy.key_weak", "an X25519 key that gives nothing secret") from error

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """32 bytes; other ones than the sender has if the ciphertext is not its own (implicit rejection)."""
        if len(ciphertext) != CIPHERTEXT_BYTES:
            raise PrivacyError("privacy.ciphertext_invalid", f"a ciphertext has {CIPHERTEXT_BYTES} bytes")
        return self._mlkem.decapsulate(ciphertext)


def check_keys(keys: PublicKeys) -> None:
    """Raises PrivacyError `privacy.advert_invalid` (sizes, not a key), `privacy.key_weak` (small order)."""
    if len(keys.x25519) != X25519_BYTES or len(keys.mlkem) != MLKEM_BYTES:
        raise PrivacyError("privacy.advert_invalid", f"keys of {X25519_BYTES} and {MLKEM_BYTES} bytes")
    try:
        MLKEM768PublicKey.from_public_bytes(keys.mlkem)
    except ValueError as error:
        raise PrivacyError("privacy.advert_invalid", "not an ML-KEM-768 key") from error
    try:
        _PROBE.exchange(X25519PublicKey.from_public_bytes(keys.x25519))
    except ValueError as error:
        raise PrivacyError("privacy.key_weak", "an X25519 key of small order") from error


def encapsulate(mlkem: bytes) -> tuple[bytes, bytes]:
    """(shared secret of 32 bytes, ciphertext) for the holder of this key. Fresh each time: store before sending."""
    return MLKEM768PublicKey.from_public_bytes(mlkem).encapsulate()


@dataclass(frozen=True, slots=True)
class Trip:
    """One direction: what `sender` encapsulated, and its ciphertext."""

    sender: str
    secret: bytes
    ciphertext: bytes


def pair_root(shared: bytes, one: Trip, other: Trip, cohort: bytes) -> bytes:
    """The root of two sites. Both get the same: `lower` and `higher` by DID, whoever computes it."""
    lower, higher = sorted((one, other), key=lambda trip: trip.sender)
    return derived(
        shared + lower.secret + higher.secret, "didymos/sa-root/v1", lower.sender.encode(), higher.sender.encode(),
        hashed(lower.ciphertext), hashed(higher.ciphertext), salt=cohort,
    )  # fmt: skip


def pair_seed(root: bytes) -> bytes:
    """The seed of the mask that the two share."""
    return derived(root, "didymos/sa-seed/v1")


def box_key(root: bytes, sender: str, receiver: str) -> bytes:
    """The key of the one box from `sender` to `receiver`."""
    return derived(root, "didymos/sa-box/v1", sender.encode(), receiver.encode())


def seal(key: bytes, plain: bytes, context: bytes) -> bytes:
    """AES-256-GCM under a key that seals this one message."""
    return AESGCM(key).encrypt(_ZERO_NONCE, plain, context)


def unseal(key: bytes, sealed: bytes, context: bytes, code: str) -> bytes:
    """Raises PrivacyError `code` for other bytes, another key or another context."""
    try:
        return AESGCM(key).decrypt(_ZERO_NONCE, sealed, context)
    except (InvalidTag, ValueError) as error:
        raise PrivacyError(code, "not sealed by this key for this attempt") from error
