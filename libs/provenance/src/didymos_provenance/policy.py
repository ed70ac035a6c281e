"""Whom a verifier trusts: C2SP tlog-policy files (logs, witnesses, groups, quorum); checkpoints opened under one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from didymos_provenance.errors import ProvenanceError
from didymos_provenance.note import (
    Checkpoint,
    KeyType,
    Note,
    NoteKey,
    cosigned_at,
    parse_checkpoint,
    parse_vkey,
    signed_by,
)

MAX_POLICY_BYTES: Final = 64 * 1024
MAX_NAMES: Final = 256  # witnesses and groups
NO_QUORUM: Final = "none"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SPACES = re.compile(r"[ \t]+")
_THRESHOLD = re.compile(r"[1-9][0-9]{0,2}")


@dataclass(frozen=True, slots=True)
class Group:
    """`threshold` of `members`, each a witness or another group."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Logs by key, witnesses and groups by name, and which of these must have witnessed a checkpoint."""

    logs: tuple[NoteKey, ...]
    witnesses: Mapping[str, NoteKey]
    groups: Mapping[str, Group]
    quorum: str

    def satisfied_by(self, cosigners: frozenset[str]) -> bool:
        """Whether these witnesses, by their names in this policy, are a quorum."""
        return self.quorum == NO_QUORUM or self._witnessed(self.quorum, cosigners)

    def strength(self) -> str:
        """What a quorum of this policy is worth: `sequencer`, or `sequencer+witness(k/n)` with the fewest k that do."""
        if self.quorum == NO_QUORUM:
            return "sequencer"
        fewest, total = self._count(self.quorum)
        return f"sequencer+witness({fewest}/{total})"

    def _witnessed(self, name: str, cosigners: frozenset[str]) -> bool:
        if name in self.witnesses:
            return name in cosigners
        group = self.groups[name]
        return sum(self._witnessed(member, cosigners) for member in group.members) >= group.threshold

    def _count(self, name: str) -> tuple[int, int]:
        if name in self.witnesses:
            return 1, 1
        group = self.groups[name]
        counts = [self._count(member) for member in group.members]
        return sum(sorted(few for few, _ in counts)[: group.threshold]), sum(total for _, total in counts)


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint that a trusted log signed, and the trusted witnesses that cosigned it, with their UTC seconds."""

    checkpoint: Checkpoint
    note: Note
    cosigned: Mapping[str, int] = field(default_factory=dict)


def open_checkpoint(note: Note, policy: TrustPolicy) -> Opened:
    """A checkpoint signed by a log of the policy; the quorum is not asked for yet.

    Lines of unknown keys are passed over (C2SP signed-note). Raises `ledger.note_invalid` for text that is no
    checkpoint, for an origin without a trusted signature, and for a line of a trusted key that does not verify.
    """
    checkpoint = parse_checkpoint(note.text)
    signed = [signed_by(note, key) for key in policy.logs if key.name == checkpoint.origin]
    if not any(signed):
        raise ProvenanceError("ledger.note_invalid", at="log signature", origin=checkpoint.origin)
    times = {name: cosigned_at(note, key) for name, key in policy.witnesses.items()}
    return Opened(checkpoint, note, {name: time for name, time in times.items() if time is not None})


def require_quorum(opened: Opened, policy: TrustPolicy, at: int | None = None) -> None:
    """Raises `ledger.quorum_missing` unless those that cosigned until `at` (UTC seconds; None: ever) are a quorum."""
    counted = frozenset(name for name, time in opened.cosigned.items() if at is None or time <= at)
    if not policy.satisfied_by(counted):
        origin, size = opened.checkpoint.origin, opened.checkpoint.size
        raise ProvenanceError("ledger.quorum_missing", origin=origin, size=size, cosigned=len(counted))


@dataclass(slots=True)
class _Reading:
    """A policy while its lines are read."""

    logs: list[NoteKey] = field(default_factory=list)
    witnesses: dict[str, NoteKey] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    grouped: set[str] = field(default_factory=set)
    quorum: str | None = None

    def line(self, words: list[str]) -> None:
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self._log(parse_vkey(vkey))
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                self._witness(name, parse_vkey(vkey))
            case ["group", name, threshold, *members] if members:
                self._group(name, threshold, tuple(members))
            case ["quorum", name] if self.quorum is None and (name == NO_QUORUM or self._defined(name)):
                self.quorum = name
            case _:
                raise ProvenanceError("ledger.policy_invalid", line=" ".join(words)[:80])

    def _log(self, key: NoteKey) -> None:
        if key.type is not KeyType.LOG or any(known.public == key.public for known in self.logs):
            raise ProvenanceError("ledger.policy_invalid", log=key.name)
        self.logs.append(key)

    def _witness(self, name: str, key: NoteKey) -> None:
        known = {witness.public for witness in self.witnesses.values()}
        if key.type is not KeyType.WITNESS or key.public in known:
            raise ProvenanceError("ledger.policy_invalid", witness=name)
        self._name(name)
        self.witnesses[name] = key

    def _group(self, name: str, threshold: str, members: tuple[str, ...]) -> None:
        if not all(self._defined(member) for member in members) or len(set(members)) != len(members):
            raise ProvenanceError("ledger.policy_invalid", group=name)
        if self.grouped & set(members):  # a witness counts in one way only
            raise ProvenanceError("ledger.policy_invalid", group=name, twice=sorted(self.grouped & set(members)))
        counts = {"any": 1, "all": len(members)}
        count = counts.get(threshold) or (int(threshold) if _THRESHOLD.fullmatch(threshold) else 0)
        if not 1 <= count <= len(members):
            raise ProvenanceError("ledger.policy_invalid", group=name, threshold=threshold[:8])
        self._name(name)
        self.grouped |= set(members)
        self.groups[name] = Group(count, members)

    def _name(self, name: str) -> None:
        if name == NO_QUORUM or self._defined(name) or len(self.witnesses) + len(self.groups) >= MAX_NAMES:
            raise ProvenanceError("ledger.policy_invalid", name=name)

    def _defined(self, name: str) -> bool:
        return name in self.witnesses or name in self.groups


def parse_policy(raw: bytes) -> TrustPolicy:
    """A policy file. Raises `ledger.policy_invalid`, or `ledger.note_invalid` for a key that is none."""
    if len(raw) > MAX_POLICY_BYTES:
        raise ProvenanceError("ledger.policy_invalid", bytes=len(raw))
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise ProvenanceError("ledger.policy_invalid", at="utf-8") from None
    if _CONTROL.search(text):
        raise ProvenanceError("ledger.policy_invalid", at="control character")
    reading = _Reading()
    for line in text.split("\n"):
        words = [word for word in _SPACES.split(line) if word]
        if words and not words[0].startswith("#"):
            reading.line(words)
    if reading.quorum is None:
        raise ProvenanceError("ledger.policy_invalid", at="quorum")
    return TrustPolicy(tuple(reading.logs), reading.witnesses, reading.groups, reading.quorum)
