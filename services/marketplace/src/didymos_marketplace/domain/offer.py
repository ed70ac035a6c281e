"""An offer: what may be bought, for how much, and until when, signed by its provider. marketplace-ledger.md 7, 8."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from didymos_did import CONSTRAINTS, DUTIES, Did, DidError, Exceeds, Grant, Terms, parse_did, parse_instant, parse_task
from didymos_did import grant_excess as excess_of
from didymos_did.proofs import instant_text
from didymos_did.terms import parse_actions, parse_budget, parse_paths, parse_purposes, parse_terms, terms_json

FORMAT: Final = "didymos-train-v1"
MAX_MINOR: Final = 10**15
MAX_ROUNDS: Final = 10_000
_MEMBERS: Final = frozenset({
    "@id", "@type", "assigner", "assignee", "target", "format", "terms", "validFrom", "validUntil", "price", "rounds",
    "fee_basis_points", "proof",
})  # fmt: skip
_TERMS: Final = frozenset({"actions", "paths", "purposes", "constraints", "budget", "duties"})
_OPTIONAL: Final = frozenset({"spec"})
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_URN: Final = re.compile(r"urn:[a-z0-9][a-z0-9-]{0,31}:[A-Za-z0-9:._-]{1,128}")
_ASSET: Final = re.compile(r"[A-Z]{3,8}/[0-9]")


@dataclass(frozen=True, slots=True)
class Price:
    """`minor` units of an asset: EUR/2 counts cents."""

    asset: str
    minor: int


@dataclass(frozen=True, slots=True)
class Offer:
    """What `provider` offers `recipient`: a run of `rounds` rounds under `terms`.

    `spec`: the SHA-256 of the one specification that may be run, in hexadecimal; empty: any that the terms admit.
    """

    id: str
    provider: Did
    recipient: Did
    product: str
    terms: Terms
    price: Price
    rounds: int
    fee_basis_points: int
    spec: str = ""


def offer_document(offer: Offer) -> dict[str, Any]:
    """The offer as its provider signs it."""
    return {
        "@id": offer.id, "@type": "Offer", "assigner": str(offer.provider), "assignee": str(offer.recipient),
        "target": offer.product, "format": FORMAT, "terms": terms_json(offer.terms),
        "validFrom": instant_text(offer.terms.valid_from), "validUntil": instant_text(offer.terms.valid_until),
        "price": {"asset": offer.price.asset, "minor": offer.price.minor}, "rounds": offer.rounds,
        "fee_basis_points": offer.fee_basis_points, **({"spec": offer.spec} if offer.spec else {}),
    }  # fmt: skip


def parse_offer(said: Mapping[str, Any]) -> Offer:
    """The offer in a document; its proof is not looked at. Raises DidError `platform.*`, `grant.*`, `did.*`."""
    _members(said, _MEMBERS | (_OPTIONAL & said.keys()), "")
    if said["@type"] != "Offer" or said["format"] != FORMAT:
        raise DidError("platform.malformed", f"an Offer of format {FORMAT} is expected", pointer="/format")
    return Offer(
        parse_urn(said["@id"], "/@id"),
        _did(said["assigner"], "/assigner"),
        _did(said["assignee"], "/assignee"),
        parse_urn(said["target"], "/target"),
        _terms(said),
        _price(said["price"]),
        _count(said["rounds"], MAX_ROUNDS, "/rounds"),
        _count(said["fee_basis_points"], 10_000, "/fee_basis_points", least=0),
        _digest(said["spec"], "/spec") if "spec" in said else "",
    )


def parse_urn(said: object, pointer: str) -> str:
    """Raises DidError `platform.malformed`."""
    if not isinstance(said, str) or not _URN.fullmatch(said):
        raise DidError("platform.malformed", "an id is a urn", pointer=pointer)
    return said


def parse_asset(said: object, pointer: str) -> str:
    """Raises DidError `platform.malformed`."""
    if not isinstance(said, str) or not _ASSET.fullmatch(said):
        raise DidError("platform.malformed", "an asset is written EUR/2", pointer=pointer)
    return said


@dataclass(frozen=True, slots=True)
class Standing:
    """What an offer stands on now: how many twins are covered, how many it takes, and what keeps others out."""

    covering: int
    needed: int
    nearest: Exceeds | None


def standing(offer: Offer, granted: Iterable[Grant], now: datetime) -> Standing:
    """How far the grants of owners cover `offer`; a twin counts once. Needed: the largest of their cohorts."""
    covered, cohorts, nearest = set[str](), [1], None
    for grant in granted:
        if grant.grantee != offer.recipient:
            continue
        beyond = excess_of(grant, offer.terms, offer.recipient, now)
        if beyond is None:
            covered.add(grant.twin)
            cohort = grant.terms.constraint("min-cohort")
            cohorts.append(cohort if isinstance(cohort, int) else 1)
        elif nearest is None or nearest.dimension == "state":
            nearest = beyond
    return Standing(len(covered), max(cohorts), nearest)


def _terms(said: Mapping[str, Any]) -> Terms:
    terms = said["terms"]
    if not isinstance(terms, dict):
        raise DidError("platform.malformed", "an object is expected", pointer="/terms")
    _members(terms, _TERMS | ({"task"} & terms.keys()), "/terms")
    return Terms(
        parse_actions(terms["actions"], "/terms/actions"),
        parse_paths(terms["paths"], "/terms/paths"),
        parse_purposes(terms["purposes"], "/terms/purposes"),
        parse_instant(said["validFrom"]),
        parse_instant(said["validUntil"]),
        parse_task(terms["task"], "/terms/task") if "task" in terms else None,
        parse_terms(terms["constraints"], CONSTRAINTS, "/terms/constraints"),
        parse_budget(terms["budget"], "/terms/budget"),
        parse_terms(terms["duties"], DUTIES, "/terms/duties"),
    )


def _price(said: object) -> Price:
    if not isinstance(said, dict) or said.keys() != {"asset", "minor"}:
        raise DidError("platform.malformed", "a price has asset and minor", pointer="/price")
    return Price(parse_asset(said["asset"], "/price/asset"), _count(said["minor"], MAX_MINOR, "/price/minor"))


def _count(said: object, most: int, pointer: str, least: int = 1) -> int:
    if type(said) is not int or not least <= said <= most:
        raise DidError("platform.malformed", f"a whole number from {least} to {most} is expected", pointer=pointer)
    return said


def _digest(said: object, pointer: str) -> str:
    if not isinstance(said, str) or not _DIGEST.fullmatch(said):
        raise DidError("platform.malformed", "a SHA-256 in hexadecimal is expected", pointer=pointer)
    return said


def _did(said: object, pointer: str) -> Did:
    if not isinstance(said, str):
        raise DidError("platform.malformed", "a DID is expected", pointer=pointer)
    return parse_did(said)


def _members(said: Mapping[str, Any], names: frozenset[str], at: str) -> None:
    for name in sorted(names - said.keys()):
        raise DidError("platform.malformed", f"member {name!r} is missing", pointer=f"{at}/{name}")
    for name in sorted(said.keys() - names):
        raise DidError("platform.unknown_field", f"member {name[:64]!r} is not known", pointer=f"{at}/{name[:64]}")
