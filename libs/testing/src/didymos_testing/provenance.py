"""Builders for the log: keys from a seed, trust files, and a log in memory that proves its records."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from didymos_did.jcs import jcs
from didymos_did.keys import Ed25519Signer
from didymos_did.proofs import sign_document
from didymos_provenance import (
    Checkpoint,
    Entry,
    Evidence,
    Fact,
    Json,
    NoteKey,
    NoteSigner,
    Organisation,
    Salt,
    TlogProof,
    commit,
    cosign,
    inclusion_ranges,
    leaf_hash,
    log_signer,
    make_entry,
    proof_hashes,
    root_of,
    sign_checkpoint,
    witness_signer,
    write_orgs,
)

ORG = "did:web:clinic-a.example"
ORIGIN = "clinic-a.example/log/0"
NOON = 1_795_435_200  # 2026-11-23T12:00:00Z, in UTC seconds


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


@dataclass(frozen=True, slots=True)
class Logged:
    """A record in a log, with what opens it."""

    index: int
    entry: Entry
    record: dict[str, Json]
    salt: Salt


@dataclass(slots=True)
class ALog:
    """The log of one organisation, in memory: real entries, tree, signatures and witnesses."""

    name: str = "clinic-a.example"
    witnesses: Sequence[NoteSigner] = ()
    cosigned_at: int = NOON + 60
    org: Ed25519Signer = field(init=False)
    signer: NoteSigner = field(init=False)
    texts: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.org = a_did_signer(self.name)
        self.signer = a_log_signer(f"{self.name}/log/0", self.name)

    def log(self, kind: str, record: dict[str, Json], facts: Mapping[str, Fact] | None = None) -> Logged:
        salt = a_salt(f"{self.name} {len(self.texts)}")
        thread = a_thread(f"{self.name} {len(self.texts)}")
        entry = make_entry(NOON, self.org.did, kind, thread, commit(jcs(record), salt), facts)
        self.texts.append(entry.encode())
        return Logged(len(self.texts) - 1, entry, record, salt)

    def prove(self, logged: Logged) -> Evidence:
        """Under the checkpoint of all that is in the log now, cosigned by all witnesses."""
        leaves = [leaf_hash(text) for text in self.texts]
        checkpoint = Checkpoint(self.signer.key.name, len(leaves), root_of(leaves))
        note = sign_checkpoint(checkpoint, self.signer)
        note = note.with_signatures([cosign(note.text, one, self.cosigned_at) for one in self.witnesses])

        def read(level: int, index: int) -> bytes:
            return root_of(leaves[index << level : (index + 1) << level])

        path = proof_hashes(inclusion_ranges(logged.index, len(leaves)), read)
        proof = TlogProof(logged.index, path, note).encode()
        return Evidence(logged.record, logged.salt, logged.entry.encode(), proof)


def a_did_signer(seed: str) -> Ed25519Signer:
    return Ed25519Signer(sha256(f"did {seed}".encode()).digest())


def a_signed(record: dict[str, Json], *signers: Ed25519Signer) -> dict[str, Json]:
    """The record with a proof of each signer; one proof stands alone, several in a list."""
    at = datetime.fromtimestamp(NOON, UTC)
    proofs = [sign_document(record, signer, at)["proof"] for signer in signers]
    return {**record, "proof": proofs[0] if len(proofs) == 1 else proofs}


def some_orgs(*logs: ALog, others: Sequence[Ed25519Signer] = ()) -> bytes:
    """An organisations file: those that keep these logs, and others without one."""
    known = [Organisation(log.org.did, log.name, (log.signer.key.name,)) for log in logs]
    known += [Organisation(one.did, "other", ()) for one in others]
    return write_orgs({one.did: one for one in known})
