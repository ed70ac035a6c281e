"""Keys of the services of one house, all from one secret of 32 bytes. identity.md section 3 (narrow: a file)."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from didymos_did import Did, Ed25519Signer

ROOT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class KeyRing:
    """`signer("ingestion")` is the key of that service; `organisation` that of the house itself."""

    root: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.root) != ROOT_BYTES:
            raise ValueError(f"the secret of a house has {ROOT_BYTES} bytes")

    def secret(self, label: str) -> bytes:
        """32 bytes for one purpose: HKDF-SHA256 (RFC 5869) of the root."""
        return HKDF(SHA256(), 32, None, b"didymos/house/v1/" + label.encode()).derive(self.root)

    def signer(self, service: str) -> Ed25519Signer:
        return Ed25519Signer(self.secret(f"signer/{service}"))

    def did(self, service: str) -> Did:
        return self.signer(service).did

    @property
    def organisation(self) -> Ed25519Signer:
        return self.signer("organisation")


def open_keyring(path: Path) -> KeyRing:
    """The ring in `path`, made with a random secret the first time. 0600. Raises ValueError for another length."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "wb") as file:
            file.write(secrets.token_bytes(ROOT_BYTES))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    return KeyRing(path.read_bytes())
