"""C2SP tlog-proof: an index, an inclusion path, and the checkpoint as it was signed. Never an `extra` line."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from didymos_provenance.errors import ProvenanceError
from didymos_provenance.merkle import HASH_BYTES, Hash, verify_inclusion
from didymos_provenance.note import Checkpoint, Note, b64decode, b64encode, parse_note

_HEADER: Final = "c2sp.org/tlog-proof@v1\n"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
MAX_PATH: Final = 63


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Entry `index` is under the checkpoint of `note` by `path`, from the sibling of the leaf up."""

    index: int
    path: tuple[Hash, ...]
    note: Note

    def encode(self) -> str:
        return f"{_HEADER}index {self.index}\n{hash_lines(self.path)}\n{self.note.encode()}"

    def verify(self, leaf: Hash, checkpoint: Checkpoint) -> None:
        """Raises `ledger.proof_invalid` unless `leaf` is at `index` under this checkpoint."""
        verify_inclusion(leaf, self.index, checkpoint.size, self.path, checkpoint.root)


def parse_proof(text: str) -> TlogProof:
    """Raises `ledger.proof_invalid` for the lines of the proof, `ledger.note_invalid` for its checkpoint."""
    head, blank, note = text.removeprefix(_HEADER).partition("\n\n")
    first, *rest = head.split("\n")
    index = _INDEX.fullmatch(first)
    if not text.startswith(_HEADER) or not blank or index is None:
        raise ProvenanceError("ledger.proof_invalid", at="tlog-proof")
    return TlogProof(int(index[1]), parse_hashes(rest), parse_note(note))


def hash_lines(hashes: Sequence[Hash]) -> str:
    """One base64 line for each hash."""
    return "".join(f"{b64encode(value)}\n" for value in hashes)


def parse_hashes(lines: Sequence[str]) -> tuple[Hash, ...]:
    """The inverse, of at most 63 lines. Raises `ledger.proof_invalid`."""
    hashes = tuple(b64decode(line) for line in lines)
    if len(hashes) > MAX_PATH or any(len(value) != HASH_BYTES for value in hashes):
        raise ProvenanceError("ledger.proof_invalid", lines=len(lines))
    return hashes
