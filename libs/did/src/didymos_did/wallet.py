"""A wallet as bytes: seeds under a file key, the file key under a passphrase. No file is opened here. identity.md 3."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from didymos_did.errors import DidError
from didymos_did.jcs import Json, jcs, parse_strict
from didymos_did.keys import Ed25519Signer
from didymos_did.multibase import b64u, b64u_decode

WALLET_BYTES: Final = 4 * 1024 * 1024
MEMORY_KIB: Final = 65_536  # RFC 9106 section 4, second recommended option
DEMO_MEMORY_KIB: Final = 8_192
_MOST_KIB, _MOST_PASSES, _MOST_LANES = 1_048_576, 10, 8


@dataclass(frozen=True, slots=True, repr=False)
class Wallet:
    """Seeds by name, 32 bytes each, and documents by name. Its text shows neither."""

    seeds: Mapping[str, bytes]
    documents: Mapping[str, Json]

    def __repr__(self) -> str:
        return f"Wallet({', '.join(sorted(self.seeds))})"

    def signer(self, name: str) -> Ed25519Signer:
        """Raises DidError `wallet.no_such_key`."""
        seed = self.seeds.get(name)
        if seed is None:
            raise DidError("wallet.no_such_key", f"no key named {name[:64]!r}")
        return Ed25519Signer(seed)


def _cannot_open() -> DidError:
    return DidError("wallet.cannot_open", "not a wallet, damaged, or another passphrase")


def _passphrase_key(passphrase: str, salt: bytes, memory_kib: int, passes: int, lanes: int) -> bytes:
    kdf = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory_kib)
    return kdf.derive(passphrase.encode())


def _check(file_key: bytes) -> str:
    return b64u(HKDF(SHA256(), 16, None, b"didymos/wallet/check/v1").derive(file_key))


def lock(wallet: Wallet, passphrase: str, entropy: bytes, memory_kib: int = MEMORY_KIB) -> bytes:
    """The wallet's bytes. `entropy`: 72 fresh random bytes for file key, salt and nonces."""
    if len(entropy) != 72:
        raise ValueError("72 random bytes are needed")
    file_key, salt, nonce, seal_nonce = entropy[:32], entropy[32:48], entropy[48:60], entropy[60:72]
    kdf = {"lanes": 4, "m_kib": memory_kib, "name": "argon2id", "salt": b64u(salt), "t": 3}
    slot: dict[str, Json] = {"kdf": kdf, "nonce": b64u(nonce), "type": "passphrase"}
    wrapping = _passphrase_key(passphrase, salt, memory_kib, 3, 4)
    wrapped = AESGCM(wrapping).encrypt(nonce, file_key, jcs(slot))
    public = {"keys": [{"id": str(wallet.signer(name).kid), "name": name} for name in sorted(wallet.seeds)]}
    head: dict[str, Json] = {
        "check": _check(file_key), "format": "didymos-wallet", "nonce": b64u(seal_nonce), "public": public,
        "slots": [{**slot, "wrapped": b64u(wrapped)}], "version": 1,
    }  # fmt: skip
    body = {"documents": dict(wallet.documents), "seeds": {name: b64u(seed) for name, seed in wallet.seeds.items()}}
    sealed = AESGCM(file_key).encrypt(seal_nonce, jcs(body), jcs(head))
    return jcs({**head, "sealed": b64u(sealed)})


def unlock(raw: bytes, passphrase: str) -> Wallet:
    """Raises DidError `wallet.cannot_open`, the same for every cause. Extreme cost parameters are refused unread."""
    try:
        said = parse_strict(raw, limit=WALLET_BYTES)
        head = {name: value for name, value in said.items() if name != "sealed"}
        slot = head["slots"][0]
        kdf = slot["kdf"]
        if kdf["m_kib"] > _MOST_KIB or kdf["t"] > _MOST_PASSES or kdf["lanes"] > _MOST_LANES:
            raise _cannot_open()
        wrapping = _passphrase_key(passphrase, b64u_decode(kdf["salt"]), kdf["m_kib"], kdf["t"], kdf["lanes"])
        bare = {name: value for name, value in slot.items() if name != "wrapped"}
        file_key = AESGCM(wrapping).decrypt(b64u_decode(slot["nonce"]), b64u_decode(slot["wrapped"]), jcs(bare))
        opened = AESGCM(file_key).decrypt(b64u_decode(head["nonce"]), b64u_decode(said["sealed"]), jcs(head))
        body = parse_strict(opened, limit=WALLET_BYTES)
        seeds = {name: b64u_decode(seed) for name, seed in body["seeds"].items()}
        return Wallet(seeds, body["documents"])
    except (DidError, InvalidTag, AttributeError, KeyError, IndexError, TypeError, ValueError, MemoryError) as error:
        raise _cannot_open() from error
