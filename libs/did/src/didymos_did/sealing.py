"""Values sealed under the key of their twin, so that erasure is the destruction of a key. identity.md section 11."""

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from didymos_did.errors import DidError
from didymos_did.jcs import jcs
from didymos_did.keys import TwinId
from didymos_did.multibase import b64u

KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
DAY_US: Final = 86_400_000_000


def epoch_of(at_us: int) -> int:
    """The key epoch of a time: its UTC day since 1970."""
    return at_us // DAY_US


@dataclass(frozen=True, slots=True, repr=False)
class DataKey:
    """The key of one twin and epoch. Its text never shows it."""

    twin: TwinId
    epoch: int
    secret: bytes

    def __repr__(self) -> str:
        return f"DataKey({self.twin}, {self.epoch})"

    def _aead(self, salt: bytes) -> AESGCM:
        derived = HKDF(SHA256(), KEY_BYTES, salt, b"didymos/data/v1").derive(self.secret)
        return AESGCM(derived)

    def _context(self, salt: bytes, path: str) -> bytes:
        return jcs([str(self.twin), self.epoch, b64u(salt), path])

    def seal(self, plain: bytes, salt: bytes, path: str, index: int = 0) -> bytes:
        """AES-256-GCM under a key of its own per `salt` (16 fresh random bytes); `index` numbers records under it."""
        if len(salt) != SALT_BYTES:
            raise DidError("seal.invalid", f"a salt has {SALT_BYTES} bytes")
        return self._aead(salt).encrypt(index.to_bytes(12, "big"), plain, self._context(salt, path))

    def open(self, sealed: bytes, salt: bytes, path: str, index: int = 0) -> bytes:
        """Raises DidError `seal.invalid` for other bytes, another twin, epoch, salt, path or index."""
        if len(salt) != SALT_BYTES or len(sealed) < 16:
            raise DidError("seal.invalid", "too short to be sealed")
        try:
            return self._aead(salt).decrypt(index.to_bytes(12, "big"), sealed, self._context(salt, path))
        except InvalidTag as error:
            raise DidError("seal.invalid", "not sealed by this key for this place") from error


def wrap(key: bytes, secret: bytes, nonce: bytes, context: bytes) -> bytes:
    """`secret` under `key` (AES-256-GCM): nonce (12 random bytes), then ciphertext."""
    return nonce + AESGCM(key).encrypt(nonce, secret, context)


def unwrap(key: bytes, wrapped: bytes, context: bytes) -> bytes:
    """Raises DidError `seal.invalid`."""
    try:
        return AESGCM(key).decrypt(wrapped[:12], wrapped[12:], context)
    except (InvalidTag, ValueError) as error:
        raise DidError("seal.invalid", "not wrapped by this key") from error
