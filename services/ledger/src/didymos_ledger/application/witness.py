"""The witness: cosigns what extends the checkpoint it cosigned before, and nothing else. C2SP tlog-witness."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from didymos_contracts.errors import Row
from didymos_contracts.errors.ledger import (
    LEDGER_INCONSISTENT,
    LEDGER_REQUEST_MALFORMED,
    LEDGER_SIZE_CONFLICT,
    LEDGER_UNKNOWN_ORIGIN,
    LEDGER_UNTRUSTED_SIGNATURE,
)
from didymos_provenance import (
    EMPTY_ROOT,
    Checkpoint,
    Hash,
    Note,
    NoteKey,
    NoteSigner,
    ProvenanceError,
    cosign,
    hash_lines,
    parse_checkpoint,
    parse_hashes,
    parse_note,
    signed_by,
    verify_consistency,
)

from didymos_ledger.application.ports import WitnessAnswer, Witnessed, WitnessStates

MAX_REQUEST_BYTES: Final = 128 * 1024
OK: Final = 200
SIZE_TYPE: Final = "text/x.tlog.size"  # of the body of a 409
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """What a log asks: cosign `note`, which extends the checkpoint of `old` entries by `path`."""

    old: int
    path: tuple[Hash, ...]
    note: Note

    def encode(self) -> bytes:
        return f"old {self.old}\n{hash_lines(self.path)}\n{self.note.encode()}".encode()


def parse_add_checkpoint(raw: bytes) -> AddCheckpoint:
    """Raises ProvenanceError for anything but a request of C2SP tlog-witness, with at most 63 proof lines."""
    try:
        head, blank, note = raw[: MAX_REQUEST_BYTES + 1].decode().partition("\n\n")
    except UnicodeDecodeError:
        raise ProvenanceError("ledger.note_invalid", at="utf-8") from None
    first, *lines = head.split("\n")
    old = _OLD.fullmatch(first)
    if len(raw) > MAX_REQUEST_BYTES or not blank or old is None:
        raise ProvenanceError("ledger.note_invalid", at="add-checkpoint")
    return AddCheckpoint(int(old[1]), parse_hashes(lines), parse_note(note))


async def add_checkpoint(
    raw: bytes, logs: Mapping[str, Sequence[NoteKey]], signer: NoteSigner, states: WitnessStates, now: int
) -> WitnessAnswer:
    """Cosign, or say why not, in the order of marketplace-ledger.md section 3. `logs`: trusted keys by origin.

    The new state is durable before the cosignature leaves. A signed request that contradicts the state is kept.
    """
    admitted = _admit(raw, logs)
    if isinstance(admitted, WitnessAnswer):
        return admitted
    request, checkpoint = admitted
    stored = await states.find(checkpoint.origin)
    if request.old != (stored.checkpoint.size if stored else 0):
        return _conflict(stored)
    if not _extends(request, checkpoint, stored):
        await states.keep_evidence(checkpoint.origin, raw, now)
        return _refused(LEDGER_INCONSISTENT, checkpoint.origin)
    if not await states.advance(request.old, Witnessed(checkpoint, request.note.encode())):
        return _conflict(await states.find(checkpoint.origin))
    return WitnessAnswer(OK, cosign(request.note.text, signer, now).line().encode())


def _admit(raw: bytes, logs: Mapping[str, Sequence[NoteKey]]) -> tuple[AddCheckpoint, Checkpoint] | WitnessAnswer:
    """The request, if it is one and a log that this witness knows signed its checkpoint."""
    try:
        request = parse_add_checkpoint(raw)
        checkpoint = parse_checkpoint(request.note.text)
    except ProvenanceError as error:
        return _refused(LEDGER_REQUEST_MALFORMED, str(error))
    keys = logs.get(checkpoint.origin)
    if keys is None:
        return _refused(LEDGER_UNKNOWN_ORIGIN, checkpoint.origin)
    if not _trusted(request.note, keys):
        return _refused(LEDGER_UNTRUSTED_SIGNATURE, checkpoint.origin)
    if request.old > checkpoint.size:
        return _refused(LEDGER_REQUEST_MALFORMED, "old is above the size of the checkpoint")
    return request, checkpoint


def _trusted(note: Note, keys: Sequence[NoteKey]) -> bool:
    """A line of a trusted key is there, and every such line verifies."""
    try:
        signed = [signed_by(note, key) for key in keys]
    except ProvenanceError:
        return False
    return any(signed)


def _extends(request: AddCheckpoint, checkpoint: Checkpoint, stored: Witnessed | None) -> bool:
    if stored is None or request.old == 0:
        return not request.path and (checkpoint.size > 0 or checkpoint.root == EMPTY_ROOT)
    try:
        verify_consistency(request.old, checkpoint.size, stored.checkpoint.root, checkpoint.root, request.path)
    except ProvenanceError:
        return False
    return True


def _conflict(stored: Witnessed | None) -> WitnessAnswer:
    size = stored.checkpoint.size if stored else 0
    return WitnessAnswer(LEDGER_SIZE_CONFLICT.http, f"{size}\n".encode())


def _refused(row: Row, detail: str) -> WitnessAnswer:
    return WitnessAnswer(row.http, f"{row.code}: {row.title} ({detail})\n".encode())
