"""Builders for the log: keys from a seed, drafts, trust policies."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from didymos_provenance import NoteKey, NoteSigner, Salt, log_signer, witness_signer

ORG = "did:web:clinic-a.example"
ORIGIN = "clinic-a.example/log/0"
NOON = 1_795_430_400  # 2026-11-23T12:00:00Z, in UTC seconds


def a_private_key(seed: str) -> Ed25519PrivateKey:
    """The same seed, the same key."""
    return Ed25519PrivateKey.from_private_bytes(sha256(f"key {seed}".encode()).digest())


def a_log_signer(origin: str = ORIGIN, seed: str = "log") -> NoteSigner:
    return log_signer(origin, a_private_key(seed))


def a_witness_signer(name: str = "witness-1.example") -> NoteSigner:
    return witness_signer(name, a_private_key(name))


def a_salt(seed: str) -> Salt:
    return Salt(sha256(f"salt {seed}".encode()).digest())


def a_thread(seed: str) -> bytes:
    return sha256(f"thread {seed}".encode()).digest()[:16]


def an_event_id(seed: str) -> bytes:
    return sha256(f"event {seed}".encode()).digest()[:16]


def a_policy(logs: Sequence[NoteKey], witnesses: Iterable[NoteKey] = (), threshold: int = 2) -> bytes:
    """A policy file: these logs, and a quorum of `threshold` of these witnesses, or none without witnesses."""
    names = {f"w{number}": key for number, key in enumerate(witnesses, start=1)}
    lines = [f"log {key.vkey()}" for key in logs]
    lines += [f"witness {name} {key.vkey()}" for name, key in names.items()]
    lines += (
        [f"group all-witnesses {threshold} {' '.join(names)}", "quorum all-witnesses"] if names else ["quorum none"]
    )
    return ("\n".join(lines) + "\n").encode()
