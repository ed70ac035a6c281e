"""A wallet as bytes: seeds under a file key, the file key under a passphrase. No file is opened here. identity.md 3."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
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
ENTROPY_BYTES: Final = 72
_FORMAT, _VERSION, _SLOTS = "didymos-wallet", 1, 4
_MOST_KIB, _MOST_PASSES, _MOST_LANES = 1_048_576, 10, 8
_HEAD: Final = frozenset({"format", "version", "public", "slots", "check", "nonce", "sealed"})


class Cost(Enum):
    """Memory of the passphrase key, in KiB. STRONG: RFC 9106 section 4. DEMO: quick, for keys that guard nothing."""

    STRONG = 65_536
    DEMO = 8_192


@dataclass(frozen=True, slots=True, repr=False)
class Wallet:
    """Seeds by name, 32 bytes each, and documents by name; `owners` are the names that own twins.

    Its text shows names only.
    """

    seeds: Mapping[str, bytes]
    documents: Mapping[str, Json]
    owners: tuple[str, ...] = ()

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


def _passphrase_key(passphrase: str, kdf: dict[str, Json]) -> bytes:
    """Argon2id (RFC 9106). Extreme costs are refused before any memory is taken."""
    if kdf.keys() != {"name", "m_kib", "t", "p", "salt"} or kdf["name"] != "argon2id":
        raise _cannot_open()
    if not (kdf["m_kib"] <= _MOST_KIB and kdf["t"] <= _MOST_PASSES and kdf["p"] <= _MOST_LANES):
        raise _cannot_open()
    salt = b64u_decode(kdf["salt"])
    argon2 = Argon2id(salt=salt, length=32, iterations=kdf["t"], lanes=kdf["p"], memory_cost=kdf["m_kib"])
    return argon2.derive(passphrase.encode())


def _check(file_key: bytes) -> str:
    return b64u(HKDF(SHA256(), 16, None, b"didymos/wallet/check/v1").derive(file_key))


def _public(wallet: Wallet) -> dict[str, Json]:
    """What a locked wallet shows: DIDs of owners, and every public key."""
    signers = [wallet.signer(name) for name in sorted(wallet.seeds)]
    keys = [{"id": str(s.kid), "kind": "ed25519", "multikey": s.public.multikey} for s in signers]
    return {"owners": [str(wallet.signer(name).did) for name in wallet.owners], "keys": keys}


def lock(wallet: Wallet, passphrase: str, entropy: bytes, cost: Cost = Cost.STRONG) -> bytes:
    """The wallet's bytes. `entropy`: 72 fresh random bytes for file key, salt and nonces.

    Raises DidError `wallet.no_such_key` for an owner without a seed, `platform.too_large` over 4 MiB.
    """
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"{ENTROPY_BYTES} random bytes are needed")
    file_key, salt, slot_nonce, nonce = entropy[:32], entropy[32:48], entropy[48:60], entropy[60:72]
    kdf: dict[str, Json] = {"name": "argon2id", "m_kib": cost.value, "t": 3, "p": 4, "salt": b64u(salt)}
    slot: dict[str, Json] = {"type": "passphrase", "kdf": kdf, "nonce": b64u(slot_nonce)}
    wrapped = AESGCM(_passphrase_key(passphrase, kdf)).encrypt(slot_nonce, file_key, jcs(slot))
    head: dict[str, Json] = {
        "format": _FORMAT, "version": _VERSION, "public": _public(wallet), "check": _check(file_key),
        "slots": [{**slot, "wrapped": b64u(wrapped)}], "nonce": b64u(nonce),
    }  # fmt: skip
    body = {
        "seeds": {name: b64u(seed) for name, seed in wallet.seeds.items()},
        "documents": dict(wallet.documents),
        "owners": list(wallet.owners),
    }
    raw = jcs({**head, "sealed": b64u(AESGCM(file_key).encrypt(nonce, jcs(body), jcs(head)))})
    if len(raw) > WALLET_BYTES:
        raise DidError("platform.too_large", f"a wallet of {len(raw)} bytes, at most {WALLET_BYTES}")
    return raw


def unlock(raw: bytes, passphrase: str) -> Wallet:
    """Raises DidError `wallet.cannot_open`, the same for every cause: damage tells no more than a wrong guess."""
    try:
        return _unlocked(raw, passphrase)
    except (InvalidTag, AttributeError, ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise _cannot_open() from error


def _unlocked(raw: bytes, passphrase: str) -> Wallet:
    said = parse_strict(raw, limit=WALLET_BYTES)
    if said.keys() != _HEAD or said["format"] != _FORMAT or said["version"] != _VERSION:
        raise _cannot_open()
    head = {name: value for name, value in said.items() if name != "sealed"}
    file_key = _file_key(head["slots"], passphrase)
    if head["check"] != _check(file_key):
        raise _cannot_open()
    opened = AESGCM(file_key).decrypt(b64u_decode(head["nonce"]), b64u_decode(said["sealed"]), jcs(head))
    body = parse_strict(opened, limit=WALLET_BYTES)
    wallet = Wallet(
        {name: b64u_decode(seed) for name, seed in body["seeds"].items()}, body["documents"], tuple(body["owners"])
    )
    if head["public"] != _public(wallet):
        raise _cannot_open()
    return wallet


def _file_key(slots: list[dict[str, Json]], passphrase: str) -> bytes:
    """The file key, by whichever passphrase slot opens."""
    if not 1 <= len(slots) <= _SLOTS:
        raise _cannot_open()
    for slot in slots:
        if slot["type"] == "passphrase":
            bare = {name: value for name, value in slot.items() if name != "wrapped"}
            aead = AESGCM(_passphrase_key(passphrase, slot["kdf"]))
            try:
                return aead.decrypt(b64u_decode(slot["nonce"]), b64u_decode(slot["wrapped"]), jcs(bare))
            except InvalidTag:
                continue  # another passphrase's slot
    raise _cannot_open()
