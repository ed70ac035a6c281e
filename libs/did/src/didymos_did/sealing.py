"""Values sealed under the key of their twin, so that erasure is the destruction of a key. identity.md section 11.

KEK of a twin (vault) -> wraps one data key per epoch -> HKDF by salt -> key of one parcel -> AES-256-GCM per record.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from didymos_did.errors import DidError
from didymos_did.jcs import jcs
from didymos_did.keys import TwinId
from didymos_did.multibase import b64u_bytes

KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
DAY_US: Final = 86_400_000_000
_INFO: Final = b"didymos/data/v1"
_SHA256: Final = SHA256()
_FIRST_NONCE: Final = bytes(NONCE_BYTES)


def epoch_of(at_us: int) -> int:
    """The key epoch of a time: its UTC day since 1970."""
    return at_us // DAY_US


def _sized(raw: bytes, size: int, what: str) -> bytes:
    if len(raw) != size:
        raise DidError("seal.invalid", f"{what} has {size} bytes, this one {len(raw)}")
    return raw


@dataclass(frozen=True, slots=True, repr=False)
class DataKey:
    """The key of one twin and epoch. Its text never shows it. Raises DidError `seal.invalid` for another size."""

    twin: TwinId
    epoch: int
    secret: bytes

    def __post_init__(self) -> None:
        _sized(self.secret, KEY_BYTES, "a data key")

    def __repr__(self) -> str:
        return f"DataKey({self.twin}, {self.epoch})"

    def parcel(self, salt: bytes) -> "ParcelKey":
        """The key of one parcel. `salt`: 16 bytes, fresh and random for each. Raises DidError `seal.invalid`."""
        return ParcelKey(self.twin, self.epoch, salt, _cipher(self.secret, salt))

    def seal(self, plain: bytes, salt: bytes, path: str, index: int = 0) -> bytes:
        """One record of a parcel: ciphertext and tag. Raises DidError `seal.invalid`."""
        bound = _bound(self.twin, self.epoch, salt, path)
        return _cipher(self.secret, salt).encrypt(_nonce(index), plain, bound)

    def open(self, sealed: bytes, salt: bytes, path: str, index: int = 0) -> bytes:
        """Raises DidError `seal.invalid` for other bytes, another twin, epoch, salt, path or index."""
        return self.parcel(salt).open(sealed, path, index)


@dataclass(frozen=True, slots=True, repr=False)
class ParcelKey:
    """Seals and opens the records of one parcel. The index is the nonce: none is sealed twice, whatever its path."""

    twin: TwinId
    epoch: int
    salt: bytes
    _aead: AESGCM

    def __repr__(self) -> str:
        return f"ParcelKey({self.twin}, {self.epoch})"

    def seal(self, plain: bytes, path: str, index: int = 0) -> bytes:
        """AES-256-GCM; `index` numbers the records under this key. Raises DidError `seal.invalid` for a bad index."""
        return self._aead.encrypt(_nonce(index), plain, _bound(self.twin, self.epoch, self.salt, path))

    def open(self, sealed: bytes, path: str, index: int = 0) -> bytes:
        """Raises DidError `seal.invalid` for other bytes, another twin, epoch, salt, path or index."""
        return _opened(self._aead, _nonce(index), sealed, _bound(self.twin, self.epoch, self.salt, path))


def _cipher(secret: bytes, salt: bytes) -> AESGCM:
    """The cipher of one parcel: HKDF (RFC 5869) of the data key."""
    return AESGCM(HKDF(_SHA256, KEY_BYTES, _sized(salt, SALT_BYTES, "a salt"), _INFO).derive(secret))


def _bound(twin: TwinId, epoch: int, salt: bytes, path: str) -> bytes:
    """The JCS of [twin, epoch, salt, path], put together from parts that repeat."""
    return b'%b"%b"%b' % (_before(twin, epoch), b64u_bytes(salt), _after(path))


@lru_cache(maxsize=16_384)
def _before(twin: TwinId, epoch: int) -> bytes:
    return b"[%b,%d," % (jcs(twin), epoch)


@lru_cache(maxsize=16_384)
def _after(path: str) -> bytes:
    return b",%b]" % jcs(path)


def _nonce(index: int) -> bytes:
    if index == 0:
        return _FIRST_NONCE
    if not 0 <= index < 1 << (8 * NONCE_BYTES):
        raise DidError("seal.invalid", "an index is a whole number of 96 bits")
    return index.to_bytes(NONCE_BYTES, "big")


def _opened(aead: AESGCM, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
    if len(sealed) < TAG_BYTES:
        raise DidError("seal.invalid", "too short to be sealed")
    try:
        return aead.decrypt(nonce, sealed, bound)
    except InvalidTag as error:
        raise DidError("seal.invalid", "not sealed by this key for this place") from error


@dataclass(frozen=True, slots=True, repr=False)
class Kek:
    """The key of one twin that wraps its data keys. When it is gone, all that was sealed for the twin is."""

    twin: TwinId
    secret: bytes

    def __post_init__(self) -> None:
        _sized(self.secret, KEY_BYTES, "a KEK")

    def __repr__(self) -> str:
        return f"Kek({self.twin})"

    def wrap(self, key: DataKey, nonce: bytes) -> bytes:
        """`nonce`: 12 fresh random bytes; they go before the ciphertext. Raises DidError `seal.invalid`."""
        if key.twin != self.twin:
            raise DidError("seal.invalid", "the data key is of another twin")
        return wrap(self.secret, key.secret, nonce, self._bound(key.epoch))

    def unwrap(self, epoch: int, wrapped: bytes) -> DataKey:
        """Raises DidError `seal.invalid` for other bytes, another twin or epoch."""
        return DataKey(self.twin, epoch, unwrap(self.secret, wrapped, self._bound(epoch)))

    def _bound(self, epoch: int) -> bytes:
        return jcs(["didymos/epoch-key/v1", str(self.twin), epoch])


def wrap(key: bytes, secret: bytes, nonce: bytes, context: bytes) -> bytes:
    """`secret` under `key` (AES-256-GCM, 32 bytes): nonce (12 fresh random bytes), ciphertext, tag. Also master -> KEK.

    Raises DidError `seal.invalid`.
    """
    aead = AESGCM(_sized(key, KEY_BYTES, "a wrapping key"))
    return _sized(nonce, NONCE_BYTES, "a nonce") + aead.encrypt(nonce, secret, context)


def unwrap(key: bytes, wrapped: bytes, context: bytes) -> bytes:
    """Raises DidError `seal.invalid`."""
    aead = AESGCM(_sized(key, KEY_BYTES, "a wrapping key"))
    return _opened(aead, wrapped[:NONCE_BYTES].ljust(NONCE_BYTES), wrapped[NONCE_BYTES:], context)


def living(key: DataKey | None, twin: TwinId, epoch: int) -> DataKey:
    """The key that a vault gave for `twin` and `epoch`. Raises DidError `key.destroyed` where it gave none."""
    if key is None:
        raise DidError("key.destroyed", "what was sealed under this key cannot be opened any more", twin=twin)
    if (key.twin, key.epoch) != (twin, epoch):
        raise DidError("seal.invalid", "the key of another twin or epoch")
    return key
