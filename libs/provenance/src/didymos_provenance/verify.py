"""`didymos verify`: nine steps from bytes to a verdict, trust from two files only. marketplace-ledger.md section 4."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final

from didymos_did.errors import DidError
from didymos_did.keys import Did
from didymos_did.proofs import instant_text, parse_instant, verify_document

from didymos_provenance.bundle import CHAINS, Bundle, Evidence, digest_of, links_of, parse_bundle
from didymos_provenance.commitment import opens
from didymos_provenance.entry import Entry, b64url, parse_entry
from didymos_provenance.errors import ProvenanceError
from didymos_provenance.merkle import Hash, leaf_hash
from didymos_provenance.orgs import Organisation, parse_orgs
from didymos_provenance.policy import Opened, TrustPolicy, open_checkpoint, parse_policy, require_quorum
from didymos_provenance.proof import TlogProof, parse_proof
from didymos_provenance.strict import Json, canonical

_INVALID: Final = "ledger.bundle_invalid"


class Exit(IntEnum):
    """What `didymos verify` exits with."""

    VALID = 0
    INVALID = 1
    UNREADABLE = 2
    BELOW_POLICY = 3  # genuine, but without the quorum that the policy asks for


@dataclass(frozen=True, slots=True)
class Proved:
    """One item, as far as the steps came: what was logged, by whom, where, when."""

    item: str
    kind: str
    org: str
    origin: str
    index: int
    at: int  # UTC seconds


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer. `step`, `item` and `reason` name the first thing that is wrong; with exit 0 they are empty."""

    exit: Exit
    kind: str = ""
    id: str = ""
    strength: str = ""  # `sequencer` or `sequencer+witness(k/n)`, found by the verifier
    status: str = ""  # of a grant
    money: str = ""  # `book`: no chain stands behind the payout
    payout: Mapping[str, Json] = field(default_factory=dict)
    proved: tuple[Proved, ...] = ()
    step: int = 0
    item: str = ""
    reason: str = ""


@dataclass(slots=True)
class _Case:
    """A bundle under verification. What a step finds, later steps use."""

    bundle: Bundle
    policy: TrustPolicy
    orgs: Mapping[Did, Organisation]
    at: int
    entries: dict[str, Entry] = field(default_factory=dict)
    proofs: dict[str, TlogProof] = field(default_factory=dict)
    opened: dict[str, Opened] = field(default_factory=dict)
    below: str = ""  # the first item without a quorum
    status: str = ""
    payout: Mapping[str, Json] = field(default_factory=dict)
    looking_at: str = ""

    def head(self) -> str:
        return next(iter(self.bundle.items))

    def record(self, item: str) -> Mapping[str, Json]:
        return self.bundle.items[item].record


def verify_bundle(bundle: bytes, policy: bytes, orgs: bytes, at: int) -> Verdict:
    """The verdict on a bundle at `at` (UTC seconds), under a C2SP policy file and an organisations file. Never raises.

    Proves what was logged and signed. It cannot prove that nothing was logged since: the status of a grant is as of
    the bundle.
    """
    try:
        case = _Case(parse_bundle(bundle), parse_policy(policy), parse_orgs(orgs), at)
    except ProvenanceError as error:
        return Verdict(Exit.UNREADABLE, step=1, reason=str(error))
    for number, step in enumerate(_STEPS, start=2):
        case.looking_at = ""
        try:
            step(case)
        except (ProvenanceError, DidError) as error:
            return _verdict(case, Exit.INVALID, number, case.looking_at, str(error))
    if digest_of(case.bundle.body()) != case.bundle.digest:  # last, so that a better reason is given where there is one
        return _verdict(case, Exit.INVALID, 1, "", "the digest of the bundle is another")
    if case.below:
        return _verdict(case, Exit.BELOW_POLICY, 4, case.below, "too few witnesses cosigned the checkpoint")
    return _verdict(case, Exit.VALID)


def _verdict(case: _Case, exit_: Exit, step: int = 0, item: str = "", reason: str = "") -> Verdict:
    bundle, proved = case.bundle, tuple(_proved(case, item) for item in case.opened)
    failed = Verdict(exit_, bundle.kind, bundle.id, proved=proved, step=step, item=item, reason=reason)
    if exit_ is Exit.INVALID:
        return failed
    money = "book" if bundle.kind == "payout" else ""
    strength = case.policy.strength() if exit_ is Exit.VALID else "sequencer"
    return Verdict(exit_, bundle.kind, bundle.id, strength, case.status, money, case.payout, proved, step, item, reason)


def _proved(case: _Case, item: str) -> Proved:
    entry, origin = case.entries[item], case.opened[item].checkpoint.origin
    return Proved(item, entry.kind, entry.org, origin, case.proofs[item].index, entry.at)


def _each(check: Callable[[_Case, str, Evidence], None]) -> Callable[[_Case], None]:
    def step(case: _Case) -> None:
        for item, evidence in case.bundle.items.items():
            case.looking_at = item
            check(case, item, evidence)

    return step


def _entry(case: _Case, item: str, evidence: Evidence) -> None:
    """(2) The entry is its own canonical form."""
    case.entries[item] = parse_entry(evidence.entry)


def _commitment(case: _Case, item: str, evidence: Evidence) -> None:
    """(3) Record and salt are what the entry commits to, and no public fact contradicts the record."""
    entry = case.entries[item]
    if not opens(entry.commitment, canonical(dict(evidence.record), _INVALID), evidence.salt):
        raise ProvenanceError(_INVALID, why="record and salt do not fit the commitment")
    for name, fact in entry.facts:
        if evidence.record.get(name, fact) != fact:
            raise ProvenanceError(_INVALID, why=f"the entry and the record say different things of {name}")


def _checkpoint(case: _Case, item: str, evidence: Evidence) -> None:
    """(4) A log of the entry's organisation signed the checkpoint, witnesses cosigned it, none of it after `at`."""
    entry, proof = case.entries[item], parse_proof(evidence.tlog_proof)
    opened = open_checkpoint(proof.note, case.policy)
    org = case.orgs.get(Did(entry.org))
    if org is None or opened.checkpoint.origin not in org.origins:
        raise ProvenanceError(_INVALID, why=f"{opened.checkpoint.origin} is not a log of {entry.org}")
    if entry.at > case.at or max([entry.at, *opened.cosigned.values()]) > case.bundle.made_at:
        raise ProvenanceError(_INVALID, why="a time after the one that is asked about, or after the bundle was made")
    case.proofs[item], case.opened[item] = proof, opened
    try:
        require_quorum(opened, case.policy, case.at)
    except ProvenanceError:
        case.below = case.below or item


def _inclusion(case: _Case, item: str, evidence: Evidence) -> None:
    """(5) The path binds the entry to the root."""
    case.proofs[item].verify(leaf_hash(evidence.entry), case.opened[item].checkpoint)


def _one_history(case: _Case) -> None:
    """(6) Checkpoints of one log and size have one root, and each index has one entry."""
    roots, entries = dict[tuple[str, int], Hash](), dict[tuple[str, int], bytes]()
    for item, opened in case.opened.items():
        case.looking_at = item
        checkpoint, text = opened.checkpoint, case.bundle.items[item].entry
        root = roots.setdefault((checkpoint.origin, checkpoint.size), checkpoint.root)
        entry = entries.setdefault((checkpoint.origin, case.proofs[item].index), text)
        if root != checkpoint.root or entry != text:
            raise ProvenanceError(_INVALID, why="two histories of one log")


def _signatures(case: _Case, item: str, evidence: Evidence) -> None:
    """(7) Who must have signed the record did, by keys that are valid then: those of did:key always are."""
    record, proofs = evidence.record, evidence.record.get("proof")
    unsecured = {name: member for name, member in record.items() if name != "proof"}
    given = proofs if isinstance(proofs, list) else [proofs]
    signers = _signers(case, item)
    if len(given) != len(signers):
        raise ProvenanceError(_INVALID, why=f"{len(signers)} signatures are needed, {len(given)} are here")
    for signer, proof in zip(signers, given, strict=True):
        verify_document({**unsecured, "proof": proof}, signer)


def _signers(case: _Case, item: str) -> tuple[Did, ...]:
    """The DIDs whose proofs a record must carry, in this order."""
    entry, record = case.entries[item], case.record(item)
    if entry.kind == "agreement.made":
        parties = _did(record, "assigner"), _did(record, "assignee")
        if entry.org not in parties or any(party not in case.orgs for party in parties):
            raise ProvenanceError(_INVALID, why="the parties of the agreement are not organisations of the file")
        return parties
    issuer = _did(record, "issuer")
    owned = entry.kind == "grant.issued" or (
        entry.kind == "grant.revoked" and issuer == case.record(case.head()).get("issuer")
    )
    if not owned and issuer != entry.org:
        raise ProvenanceError(_INVALID, why=f"{issuer} may not sign a {entry.kind} of {entry.org}")
    return (issuer,)


def _did(record: Mapping[str, Json], member: str) -> Did:
    found = record.get(member)
    if not isinstance(found, str):
        raise ProvenanceError(_INVALID, why=f"the record has no {member}")
    return Did(found)


def _links(case: _Case) -> None:
    """(8) The items are the chain of the claim, each record names the next entry, the first is the subject."""
    bundle, names = case.bundle, list(case.bundle.items)
    kinds = [case.entries[name].kind for name in names]
    chain = [step.kind for step in CHAINS[bundle.kind]]
    ended = ["grant.revoked"] if bundle.revoked else []
    if kinds != chain + ended or bundle.links != links_of(bundle.kind, names):
        raise ProvenanceError(_INVALID, why=f"not the chain of a {bundle.kind}: {', '.join(kinds)}")
    for link in bundle.links:
        case.looking_at = link.source
        named = case.record(link.source).get(link.pointer.removeprefix("/"))
        target = case.entries[link.target]
        if named not in (b64url(target.thread), b64url(target.commitment)):
            raise ProvenanceError(_INVALID, why=f"{link.pointer} does not name {link.target}")
    case.looking_at = names[0]
    _subject(case)


def _subject(case: _Case) -> None:
    """The claim is about what the first record says it is."""
    record, id_ = case.record(case.head()), case.bundle.id
    if case.bundle.kind == "payout":
        transfers = record.get("transfers")
        found = (
            [one for one in transfers if isinstance(one, dict) and one.get("id") == id_]
            if isinstance(transfers, list)
            else []
        )
        if len(found) != 1:
            raise ProvenanceError(_INVALID, why="the settlement has no transfer of this id")
        case.payout = found[0]
    elif id_ not in (record.get("id"), record.get("@id")):
        raise ProvenanceError(_INVALID, why="the record has another id than the subject")
    last = case.entries[list(case.bundle.items)[len(CHAINS[case.bundle.kind]) - 1]]
    if last.kind == "agreement.made" and dict(last.facts).get("state") != "FINALIZED":
        raise ProvenanceError(_INVALID, why="the agreement is not FINALIZED")


def _status(case: _Case) -> None:
    """(9) A grant: since when it is revoked or expired, if the bundle shows it."""
    if case.bundle.kind != "grant":
        return
    head = case.head()
    if case.bundle.revoked:
        if dict(case.bundle.revoked) != {head: list(case.bundle.items)[1]}:
            raise ProvenanceError(_INVALID, why="the status names other items")
        case.status = f"revoked since {_text(case.entries[case.bundle.revoked[head]].at)}"
        return
    until = case.record(head).get("validUntil")
    expired = until is not None and parse_instant(until).timestamp() <= case.at
    case.status = (
        f"expired since {until}" if expired else f"no revocation shown, bundle of {_text(case.bundle.made_at)}"
    )


def _text(at: int) -> str:
    return instant_text(datetime.fromtimestamp(at, UTC))


_STEPS: Final[tuple[Callable[[_Case], None], ...]] = (
    _each(_entry),
    _each(_commitment),
    _each(_checkpoint),
    _each(_inclusion),
    _one_history,
    _each(_signatures),
    _links,
    _status,
)
