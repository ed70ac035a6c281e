"""The two files that a verifier saves: whose checkpoints count, and which organisations there are."""

from collections.abc import Iterable, Sequence
from typing import Final

from didymos_did import Did
from didymos_provenance import NoteKey, Organisation, parse_policy, write_orgs

GROUP: Final = "all-witnesses"


def quorum_of(witnesses: int) -> int:
    """2 f + 1 of 3 f + 1; of three, two: enough that two quorums share a witness."""
    return witnesses - max(1, (witnesses - 1) // 3) if witnesses > 1 else witnesses


def policy_file(log: NoteKey, witnesses: Sequence[NoteKey], note: str) -> bytes:
    """A C2SP tlog-policy that asks for a quorum of these witnesses. `note`: a comment on who they are."""
    lines = [f"# {note}", f"log {log.vkey()}"]
    lines += [f"witness {key.name} {key.vkey()}" for key in witnesses]
    if witnesses:
        names = " ".join(key.name for key in witnesses)
        lines += [f"group {GROUP} {quorum_of(len(witnesses))} {names}", f"quorum {GROUP}"]
    else:
        lines.append("quorum none")
    raw = ("\n".join(lines) + "\n").encode()
    parse_policy(raw)
    return raw


def orgs_file(operator: Organisation, others: Iterable[Did]) -> bytes:
    """The operator with its log, and the organisations that it made agreements with, by their DIDs alone."""
    known = {operator.did: operator}
    for did in others:
        known.setdefault(did, Organisation(did, str(did), ()))
    return write_orgs(known)
