"""Proof bundles: all that somebody needs, who trusts nobody here, to check one claim offline.

The bytes of a bundle are its canonical JSON, and `digest` covers all other members: no byte is free. The format is
that of marketplace-ledger.md section 4, as far as money is book money and DIDs are did:key.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from typing import Final

from didymos_did.errors import DidError
from didymos_did.proofs import instant_text, parse_instant

from didymos_provenance.commitment import Salt
from didymos_provenance.entry import b64url, parse_entry, unb64url
from didymos_provenance.errors import ProvenanceError
from didymos_provenance.strict import Json, canonical, parse_strict

TYPE: Final = "didymos-proof-bundle/1"
MAX_BUNDLE_BYTES: Final = 16 << 20
MAX_ITEMS: Final = 64
REVOKED_POINTER: Final = "/grant"  # where the record of a `grant.revoked` names the grant
_STRENGTH = re.compile(r"sequencer(?:\+witness\([1-9][0-9]?/[1-9][0-9]?\))?")
_UNREADABLE: Final = "ledger.bundle_unreadable"


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of a chain: its kind, and where its record names the next one (a JSON pointer; empty: the last)."""

    kind: str
    pointer: str = ""


CHAINS: Final[Mapping[str, tuple[Step, ...]]] = {
    "grant": (Step("grant.issued"),),
    "agreement": (Step("agreement.made"),),
    "round": (Step("round.closed", "/committed"), Step("round.committed", "/agreement"), Step("agreement.made")),
    "model": (
        Step("model.published", "/round"),
        Step("round.closed", "/committed"),
        Step("round.committed", "/agreement"),
        Step("agreement.made"),
    ),
    "payout": (
        Step("settlement.final", "/computed"),
        Step("settlement.computed", "/agreement"),
        Step("agreement.made"),
    ),
}
"""What a bundle of each kind holds, from the claim back to what allowed it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One logged record with all that opens it: what a service keeps, and what the log answers to `GetProof`."""

    record: Mapping[str, Json]
    salt: Salt
    entry: bytes  # the exact text of the log
    tlog_proof: str


@dataclass(frozen=True, slots=True)
class Link:
    """The record of `source` holds at `pointer` the thread or the commitment of `target`; both are item ids."""

    source: str
    pointer: str
    target: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as parsed; nothing in it is verified but its form."""

    kind: str
    id: str
    made_at: int  # UTC seconds
    agreed: str  # what the maker says it is worth; a verifier finds that out for itself
    items: Mapping[str, Evidence]
    links: tuple[Link, ...]
    revoked: Mapping[str, str] = field(default_factory=dict)  # item of a grant to the item of its revocation
    digest: bytes = b""

    def body(self) -> dict[str, Json]:
        """All members but the digest."""
        return {
            "type": TYPE,
            "subject": {"kind": self.kind, "id": self.id},
            "made_at": instant_text(datetime.fromtimestamp(self.made_at, UTC)),
            "agreed": self.agreed,
            "items": [_item(name, evidence) for name, evidence in self.items.items()],
            "links": [{"from": link.source, "pointer": link.pointer, "to": link.target} for link in self.links],
            "status": [{"for": granted, "item": ended} for granted, ended in self.revoked.items()],
        }


def build_bundle(
    kind: str, id_: str, chain: Sequence[Evidence], made_at: int, agreed: str, revoked: Evidence | None = None
) -> bytes:
    """A bundle for the subject `id_`, from the evidence for each step of `CHAINS[kind]`, the claim first.

    `made_at`: UTC seconds; `agreed`: the strength the log gave; `revoked`: the end of a grant that ended. Raises
    `ledger.bundle_unreadable` for a chain of other kinds, and for records that canonical JSON cannot hold.
    """
    steps = CHAINS.get(kind, ())
    kinds = [parse_entry(evidence.entry).kind for evidence in chain]
    if not steps or kinds != [step.kind for step in steps] or (revoked is not None and kind != "grant"):
        raise ProvenanceError(_UNREADABLE, at="chain", kind=kind, kinds=kinds)
    items = {f"i{number}": one for number, one in enumerate([*chain, *([revoked] if revoked else [])], start=1)}
    ended = {"i1": "i2"} if revoked else {}
    return seal_bundle(Bundle(kind, id_, made_at, agreed, items, links_of(kind, list(items)), ended))


def links_of(kind: str, names: Sequence[str]) -> tuple[Link, ...]:
    """The links of a bundle: each item of the chain to the next; a revocation after them to the grant."""
    steps = CHAINS[kind]
    links = [Link(a, step.pointer, b) for (a, b), step in zip(pairwise(names[: len(steps)]), steps, strict=False)]
    return (*links, *(Link(name, REVOKED_POINTER, names[0]) for name in names[len(steps) :]))


def seal_bundle(bundle: Bundle) -> bytes:
    """The canonical bytes, with the digest over all other members."""
    body = bundle.body()
    return canonical({**body, "digest": b64url(digest_of(body))}, _UNREADABLE)


def digest_of(body: Mapping[str, Json]) -> bytes:
    """SHA-256 of the canonical form of a bundle without its digest."""
    return sha256(canonical(dict(body), _UNREADABLE)).digest()


def parse_bundle(raw: bytes) -> Bundle:
    """Raises `ledger.bundle_unreadable` for anything but the canonical bytes of a bundle of at most 16 MiB."""
    said = parse_strict(raw, _UNREADABLE, MAX_BUNDLE_BYTES)
    if canonical(said, _UNREADABLE) != raw:
        raise ProvenanceError(_UNREADABLE, at="canonical form")
    match said:
        case {
            "type": "didymos-proof-bundle/1",
            "subject": {"kind": str(kind), "id": str(id_)},
            "made_at": str(made_at),
            "agreed": str(agreed),
            "items": list(items),
            "links": list(links),
            "status": list(status),
            "digest": str(digest),
        }:
            found = dict(map(_parse_item, items)), tuple(map(_parse_link, links)), dict(map(_parse_status, status))
            return _checked(Bundle(kind, id_, _seconds(made_at), agreed, *found, _bytes(digest)), raw)
        case _:
            raise ProvenanceError(_UNREADABLE, at="members")


def _checked(bundle: Bundle, raw: bytes) -> Bundle:
    """Written again it gives the same bytes: no unknown member anywhere, no item id twice."""
    known = bundle.kind in CHAINS and _STRENGTH.fullmatch(bundle.agreed)
    if not known or not 1 <= len(bundle.items) <= MAX_ITEMS:
        raise ProvenanceError(_UNREADABLE, at="items", count=len(bundle.items), kind=bundle.kind[:40])
    if canonical({**bundle.body(), "digest": b64url(bundle.digest)}, _UNREADABLE) != raw:
        raise ProvenanceError(_UNREADABLE, at="members")
    return bundle


def _item(name: str, evidence: Evidence) -> Json:
    return {
        "id": name,
        "record": dict(evidence.record),
        "salt": b64url(evidence.salt),
        "entry": evidence.entry.decode(),
        "tlog_proof": evidence.tlog_proof,
    }


def _parse_item(said: Json) -> tuple[str, Evidence]:
    match said:
        case {
            "id": str(name),
            "record": dict(record),
            "salt": str(salt),
            "entry": str(entry),
            "tlog_proof": str(proof),
        }:
            return name, Evidence(record, Salt(_bytes(salt)), entry.encode(), proof)
    raise ProvenanceError(_UNREADABLE, at="item")


def _parse_link(said: Json) -> Link:
    match said:
        case {"from": str(source), "pointer": str(pointer), "to": str(target)}:
            return Link(source, pointer, target)
    raise ProvenanceError(_UNREADABLE, at="link")


def _parse_status(said: Json) -> tuple[str, str]:
    match said:
        case {"for": str(granted), "item": str(ended)}:
            return granted, ended
    raise ProvenanceError(_UNREADABLE, at="status")


def _bytes(text: str) -> bytes:
    try:
        return unb64url(text)
    except ProvenanceError as error:
        raise ProvenanceError(_UNREADABLE, at="base64url") from error


def _seconds(text: str) -> int:
    try:
        return int(parse_instant(text).timestamp())
    except DidError as error:
        raise ProvenanceError(_UNREADABLE, at="made_at", why=error.detail) from error
