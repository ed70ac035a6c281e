"""Keys from keys, and streams of bytes from keys: HKDF-SHA256 (RFC 5869) and AES-256-CTR (FIPS 197, SP 800-38A)."""

from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
BLOCK_BYTES: Final = 16


def joined(*parts: bytes) -> bytes:
    """Parts behind one another, each after its length (4 bytes, big-endian): two lists never give the same bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def hashed(*parts: bytes) -> bytes:
    """SHA-256 of the joined parts."""
    return sha256(joined(*parts)).digest()


def derived(key: bytes, what: str, *context: bytes, salt: bytes = b"", size: int = KEY_BYTES) -> bytes:
    """HKDF-SHA256 of `key` for one use. `what` and `context` are bound by `info`."""
    info = what.encode() + (b"\0" + joined(*context) if context else b"")
    return HKDF(SHA256(), size, salt or None, info).derive(key)


def stream(key: bytes, block: int = 0) -> CipherContext:
    """AES-256-CTR from counter `block`. A key serves one stream only, so the counter may start at zero."""
    return Cipher(AES(key), CTR(block.to_bytes(BLOCK_BYTES, "big"))).encryptor()


def random_bytes(key: bytes, size: int) -> bytes:
    """The first `size` bytes of the stream of `key`."""
    return stream(key).update(bytes(size))
