"""Personal parameters, sealed to the service that will serve them: HPKE, one shot, MLKEM768-X25519. RFC 9180.

The recipient's key is derived from a secret of its own; its public half goes out with the order to personalise.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from didymos_privacy.agreement import MLKEM_BYTES, X25519_BYTES
from didymos_privacy.errors import PrivacyError
from didymos_privacy.kdf import derived, joined

PUBLIC_BYTES: Final = MLKEM_BYTES + X25519_BYTES
_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def model_info(run: str, twin: str) -> bytes:
    """What a sealed personal model is bound to: it opens as the model of this twin from this run, and as no other."""
    return b"didymos/personal-model/v1\0" + joined(run.encode(), twin.encode())


class Recipient:
    """Opens what was sealed to it. `secret`: 32 secret bytes of this use."""

    def __init__(self, secret: bytes) -> None:
        x25519 = X25519PrivateKey.from_private_bytes(derived(secret, "didymos/recipient-x25519/v1"))
        mlkem = MLKEM768PrivateKey.from_seed_bytes(derived(secret, "didymos/recipient-mlkem/v1", size=64))
        self._private = MLKEM768X25519PrivateKey(mlkem, x25519)
        self.public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """Raises PrivacyError `privacy.box_invalid` for other bytes, another key or another `info`."""
        try:
            return _SUITE.decrypt(sealed, self._private, info)
        except (InvalidTag, ValueError) as error:
            raise PrivacyError("privacy.box_invalid", "not sealed to this recipient for this use") from error


def seal_to(public: bytes, plain: bytes, info: bytes) -> bytes:
    """`plain` for the holder of `public` (1,216 bytes): 1,136 bytes longer. Raises PrivacyError `privacy.key_weak`."""
    if len(public) != PUBLIC_BYTES:
        raise PrivacyError("privacy.key_weak", f"a recipient's key has {PUBLIC_BYTES} bytes")
    try:
        key = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:MLKEM_BYTES]),
            X25519PublicKey.from_public_bytes(public[MLKEM_BYTES:]),
        )
        return _SUITE.encrypt(plain, key, info)
    except ValueError as error:
        raise PrivacyError("privacy.key_weak", "not a recipient's key") from error
