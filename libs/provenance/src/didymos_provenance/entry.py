"""Entries of the log: one flat canonical JSON object of about 170 bytes. marketplace-ledger.md section 1.

No value needs escaping (integers, closed words, base64url, DIDs of organisations), so that a template writes the
canonical form of RFC 8785; a property test holds it equal to the library.
"""

import json
import re
from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final, Literal, TypeAlias

from didymos_provenance.errors import ProvenanceError
from didymos_provenance.strict import MAX_INTEGER, Json, parse_strict

MAX_ENTRY_BYTES: Final = 1024
THREAD_BYTES: Final = 16
COMMITMENT_BYTES: Final = 32
FactType: TypeAlias = Literal["number", "hash", "state"]
Fact: TypeAlias = int | str
STATES: Final = frozenset({"REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "TERMINATED"})

_ROUND: Final[dict[str, FactType]] = {"round": "number"}
_SETTLED: Final[dict[str, FactType]] = {"seq": "number", "cum_root": "hash", "cum_total": "number"}
KINDS: Final[Mapping[str, Mapping[str, FactType]]] = {
    "grant.issued": {},
    "grant.revoked": {},
    "grant.expired": {},
    "readings.root": {"root": "hash", "count": "number"},
    "negotiation.moved": {"state": "state"},
    "agreement.made": {"state": "state"},
    "agreement.closed": {"state": "state"},
    "run.opened": {"nonces": "hash"},
    "round.committed": {**_ROUND, "updates": "hash"},
    "round.closed": {**_ROUND, "params": "hash"},
    "round.aborted": _ROUND,
    "model.published": {"params": "hash"},
    "settlement.computed": _SETTLED,
    "settlement.final": _SETTLED,
    "audit.root": {"root": "hash", "count": "number"},
    "steward.acted": {},
    "erasure.done": {},
}
"""The closed list of kinds, with the public facts that each admits."""

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_DID = re.compile(r"did:[a-z0-9]{1,16}:[A-Za-z0-9._:%-]{1,240}")
_MEMBERS: Final = frozenset({"at", "commit", "kind", "org", "thread", "v"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. Everything public is here; the record behind `commitment` is not."""

    at: int  # UTC seconds, coarse on purpose
    org: str  # DID of the organisation whose log it is
    kind: str
    thread: bytes  # 16 random bytes naming one grant, agreement or run
    commitment: bytes  # 32 bytes
    facts: tuple[tuple[str, Fact], ...] = ()  # ordered by name

    def encode(self) -> bytes:
        """The canonical text, UTF-8."""
        facts = f'"facts":{{{",".join(_fact_text(*fact) for fact in self.facts)}}},' if self.facts else ""
        return (
            f'{{"at":{self.at},"commit":"{b64url(self.commitment)}",{facts}"kind":"{self.kind}","org":"{self.org}",'
            f'"thread":"{b64url(self.thread)}","v":1}}'
        ).encode()


def make_entry(
    at: int, org: str, kind: str, thread: bytes, commitment: bytes, facts: Mapping[str, Fact] | None = None
) -> Entry:
    """A checked entry. Raises `ledger.entry_invalid` with the member at fault, or `ledger.entry_too_large`."""
    if not 0 <= at <= MAX_INTEGER:
        raise ProvenanceError("ledger.entry_invalid", member="at")
    if not _is_did(org):
        raise ProvenanceError("ledger.entry_invalid", member="org")
    admitted = KINDS.get(kind)
    if admitted is None:
        raise ProvenanceError("ledger.entry_invalid", member="kind", kind=kind[:40])
    if len(thread) != THREAD_BYTES:
        raise ProvenanceError("ledger.entry_invalid", member="thread", bytes=len(thread))
    if len(commitment) != COMMITMENT_BYTES:
        raise ProvenanceError("ledger.entry_invalid", member="commit", bytes=len(commitment))
    for name, value in (facts or {}).items():
        if name not in admitted or not _admits(admitted[name], value):
            raise ProvenanceError("ledger.entry_invalid", member="facts", fact=name[:40])
    entry = Entry(at, org, kind, thread, commitment, tuple(sorted((facts or {}).items())))
    if facts and len(entry.encode()) > MAX_ENTRY_BYTES:
        raise ProvenanceError("ledger.entry_too_large", limit=MAX_ENTRY_BYTES)
    return entry


def parse_entry(raw: bytes) -> Entry:
    """The entry whose canonical text this is. Raises `ledger.entry_invalid`, `ledger.entry_too_large`."""
    if len(raw) > MAX_ENTRY_BYTES:
        raise ProvenanceError("ledger.entry_too_large", bytes=len(raw), limit=MAX_ENTRY_BYTES)
    said = parse_strict(raw, "ledger.entry_invalid")
    if not isinstance(said, dict) or said.keys() - {"facts"} != _MEMBERS or said["v"] != 1:
        raise ProvenanceError("ledger.entry_invalid", member="members")
    match said:
        case {"at": int(at), "org": str(org), "kind": str(kind), "thread": str(thread), "commit": str(commitment)}:
            entry = make_entry(at, org, kind, unb64url(thread), unb64url(commitment), _parse_facts(said))
        case _:
            raise ProvenanceError("ledger.entry_invalid", member="types")
    if entry.encode() != raw:
        raise ProvenanceError("ledger.entry_invalid", member="canonical form")
    return entry


def _parse_facts(said: Mapping[str, Json]) -> dict[str, Fact]:
    facts = said.get("facts", {})
    if not isinstance(facts, dict):
        raise ProvenanceError("ledger.entry_invalid", member="facts")
    return {name: value for name, value in facts.items() if isinstance(value, int | str)}


@lru_cache(maxsize=256)
def _is_did(text: str) -> bool:
    return _DID.fullmatch(text) is not None


def thread_of(name: str) -> bytes:
    """16 bytes that stand for the grant, agreement or run of this id: the same in every service, so nobody asks around.

    An id holds a random UUID: who does not know it finds it neither by trying nor from the thread.
    """
    return sha256(b"didymos/thread/v1\0" + name.encode()).digest()[:THREAD_BYTES]


def event_id(kind: str, subject: str) -> bytes:
    """16 bytes under which the log of a house knows the entry of an event; its REST takes them in hexadecimal."""
    return sha256(f"didymos/event/v1\0{kind}\0{subject}".encode()).digest()[:16]


def b64url(raw: bytes) -> str:
    """base64url without padding (RFC 4648 section 5)."""
    return b2a_base64(raw, newline=False).rstrip(b"=").translate(_URL_SAFE).decode("ascii")


def unb64url(text: str) -> bytes:
    """The inverse of `b64url`, of what it would write only. Raises `ledger.entry_invalid`."""
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        raise ProvenanceError("ledger.entry_invalid", member="base64url") from None
    if b64url(raw) != text:
        raise ProvenanceError("ledger.entry_invalid", member="base64url")
    return raw


def _admits(type_: FactType, value: object) -> bool:
    match type_:
        case "number":
            return type(value) is int and 0 <= value <= MAX_INTEGER
        case "hash":
            return isinstance(value, str) and len(value) == 43 and len(unb64url(value)) == COMMITMENT_BYTES
        case "state":
            return value in STATES


def _fact_text(name: str, value: Fact) -> str:
    return f'"{name}":{json.dumps(value)}'
