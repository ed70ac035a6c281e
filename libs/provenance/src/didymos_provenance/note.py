"""Signed notes, checkpoints and cosignatures of C2SP: Ed25519 signatures (0x01) and timed cosignatures (0x04).

A note is text, a blank line, and signature lines `<U+2014> <name> base64(key id || signature)`; text and signatures
part at the last blank line. A checkpoint is a note of three lines: origin, size, base64 root.
"""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from didymos_provenance.errors import ProvenanceError
from didymos_provenance.merkle import HASH_BYTES, Hash

MAX_NOTE_BYTES: Final = 64 * 1024
MAX_SIGNATURES: Final = 16
MAX_SIZE: Final = 1 << 63
_DASH: Final = "\u2014 "
_KEY_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_PUBLIC_BYTES: Final = 32
_NAME = re.compile(r"[^\s+]{1,255}")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class KeyType(IntEnum):
    """What a key signs, as the type byte of C2SP signed-note."""

    LOG = 0x01
    WITNESS = 0x04


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key with the name it signs under. `id` is the start of SHA-256(name, newline, type, key)."""

    name: str
    type: KeyType
    public: bytes  # 32 bytes, Ed25519

    @property
    def id(self) -> bytes:
        said = self.name.encode() + b"\n" + bytes([self.type]) + self.public
        return sha256(said).digest()[:_KEY_ID_BYTES]

    @property
    def kid(self) -> str:
        """`name+hex id`: names the key in a promise."""
        return f"{self.name}+{self.id.hex()}"

    def vkey(self) -> str:
        """`name+hex id+base64(type || key)`."""
        return f"{self.kid}+{b64encode(bytes([self.type]) + self.public)}"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """A key that can sign. `sign` is Ed25519 over the message."""

    key: NoteKey
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: `blob` is what follows the key id."""

    name: str
    key_id: bytes
    blob: bytes

    def line(self) -> str:
        return f"{_DASH}{self.name} {b64encode(self.key_id + self.blob)}\n"

    def is_by(self, key: NoteKey) -> bool:
        return self.name == key.name and self.key_id == key.id


@dataclass(frozen=True, slots=True)
class Note:
    """Text with its final newline, and its signatures in their order. Nothing in it is verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> str:
        return self.text + "\n" + "".join(signature.line() for signature in self.signatures)

    def with_signatures(self, more: Sequence[Signature]) -> "Note":
        """This note with those of `more` that it has not; of one key the first stays."""
        seen, kept = set[tuple[str, bytes]](), list[Signature]()
        for signature in (*self.signatures, *more):
            if (signature.name, signature.key_id) not in seen:
                seen.add((signature.name, signature.key_id))
                kept.append(signature)
        return replace(self, signatures=tuple(kept))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says it is: `size` entries under `root`."""

    origin: str
    size: int
    root: Hash

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root)}\n"


def log_signer(name: str, private: Ed25519PrivateKey) -> NoteSigner:
    """A key of a log; `name` is the origin."""
    return NoteSigner(_key_of(name, KeyType.LOG, private), private.sign)


def witness_signer(name: str, private: Ed25519PrivateKey) -> NoteSigner:
    """A key of a witness. One Ed25519 key serves one witness name: the signed form does not name the signer."""
    return NoteSigner(_key_of(name, KeyType.WITNESS, private), private.sign)


def parse_vkey(text: str) -> NoteKey:
    """The inverse of `NoteKey.vkey`. Raises `ledger.note_invalid` for other types and for an id that is not its own."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = b64decode(encoded)
    if not _NAME.fullmatch(name) or len(raw) != 1 + _PUBLIC_BYTES or raw[0] not in tuple(KeyType):
        raise ProvenanceError("ledger.note_invalid", vkey=text[:80])
    key = NoteKey(name, KeyType(raw[0]), raw[1:])
    if key.id.hex() != key_id:
        raise ProvenanceError("ledger.note_invalid", vkey=text[:80], expected_id=key.id.hex())
    return key


def parse_note(raw: str) -> Note:
    """A note with one to 16 signatures, at most 64 KiB. Raises `ledger.note_invalid`."""
    text, blank, lines = raw.rpartition("\n\n")
    too_long = len(raw) > MAX_NOTE_BYTES or len(raw.encode(errors="replace")) > MAX_NOTE_BYTES
    if too_long or not text or not blank or not lines.endswith("\n") or _CONTROL.search(raw):
        raise ProvenanceError("ledger.note_invalid", at="form")
    return Note(text + "\n", parse_signatures(lines))


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """One to 16 signature lines, as a note or a witness's answer holds them. Raises `ledger.note_invalid`."""
    rows = lines.split("\n")
    if rows.pop() or not 1 <= len(rows) <= MAX_SIGNATURES:
        raise ProvenanceError("ledger.note_invalid", at="signatures", lines=len(rows))
    return tuple(_parse_signature(row) for row in rows)


def parse_checkpoint(text: str) -> Checkpoint:
    """The three lines of a checkpoint; extension lines are refused. Raises `ledger.note_invalid`."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not _NAME.fullmatch(lines[0]) or not _DECIMAL.fullmatch(lines[1]):
        raise ProvenanceError("ledger.note_invalid", at="checkpoint")
    size, root = int(lines[1]), b64decode(lines[2])
    if size >= MAX_SIZE or len(root) != HASH_BYTES:
        raise ProvenanceError("ledger.note_invalid", at="checkpoint", size=size)
    return Checkpoint(lines[0], size, root)


def sign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner) -> Note:
    """The checkpoint as a note of its log. The signer's name is the origin."""
    if signer.key.type is not KeyType.LOG or signer.key.name != checkpoint.origin:
        raise ProvenanceError("ledger.note_invalid", at="signer", name=signer.key.name)
    text = checkpoint.text()
    return Note(text, (Signature(signer.key.name, signer.key.id, signer.sign(text.encode())),))


def cosign(text: str, signer: NoteSigner, time: int) -> Signature:
    """The cosignature of a witness over a checkpoint's text at `time`, in UTC seconds. C2SP tlog-cosignature, v1."""
    if signer.key.type is not KeyType.WITNESS:
        raise ProvenanceError("ledger.note_invalid", at="signer", name=signer.key.name)
    signed = signer.sign(_cosigned(text, time))
    return Signature(signer.key.name, signer.key.id, time.to_bytes(_TIME_BYTES, "big") + signed)


def signed_by(note: Note, key: NoteKey) -> bool:
    """Whether a log's key signed; False if no line is its. A line of the key that fails: `ledger.note_invalid`."""
    found = [signature for signature in note.signatures if signature.is_by(key)]
    for signature in found:
        if not key.verifies(signature.blob, note.text.encode()):
            raise ProvenanceError("ledger.note_invalid", at="signature", name=key.name)
    return bool(found)


def cosigned_at(note: Note, key: NoteKey) -> int | None:
    """When this witness cosigned, UTC seconds; None if it did not. A line that fails: `ledger.note_invalid`."""
    times = [_cosignature_time(note.text, s, key) for s in note.signatures if s.is_by(key)]
    return max(times, default=None)


def b64encode(raw: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(raw).decode()


def b64decode(text: str) -> bytes:
    """The inverse of `b64encode`, of what it would write only. Raises `ledger.note_invalid`."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise ProvenanceError("ledger.note_invalid", at="base64") from None
    if b64encode(raw) != text:
        raise ProvenanceError("ledger.note_invalid", at="base64")
    return raw


def _key_of(name: str, type_: KeyType, private: Ed25519PrivateKey) -> NoteKey:
    if not _NAME.fullmatch(name):
        raise ProvenanceError("ledger.note_invalid", name=name[:80])
    return NoteKey(name, type_, private.public_key().public_bytes_raw())


def _parse_signature(row: str) -> Signature:
    name, space, encoded = row.removeprefix(_DASH).partition(" ")
    if not row.startswith(_DASH) or not space or not _NAME.fullmatch(name):
        raise ProvenanceError("ledger.note_invalid", at="signature line")
    raw = b64decode(encoded)
    if len(raw) <= _KEY_ID_BYTES:
        raise ProvenanceError("ledger.note_invalid", at="signature line", name=name)
    return Signature(name, raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:])


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _cosignature_time(text: str, signature: Signature, key: NoteKey) -> int:
    time = int.from_bytes(signature.blob[:_TIME_BYTES], "big")
    if time >= MAX_SIZE or not key.verifies(signature.blob[_TIME_BYTES:], _cosigned(text, time)):
        raise ProvenanceError("ledger.note_invalid", at="cosignature", name=key.name)
    return time
