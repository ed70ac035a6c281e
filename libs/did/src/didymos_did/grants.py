"""A grant: a W3C Verifiable Credential 2.0 in our flat, closed form, signed by its owner. identity.md 5 and 6."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from didymos_did.errors import DidError
from didymos_did.jcs import Json, digest, jcs, parse_strict
from didymos_did.keys import Did, GrantId, Signer, TwinId, parse_did
from didymos_did.proofs import SUITE, instant_text, parse_instant, sign_document, verify_document
from didymos_did.terms import (
    CONSTRAINTS,
    DUTIES,
    Action,
    Terms,
    parse_actions,
    parse_budget,
    parse_paths,
    parse_purposes,
    parse_task,
    parse_terms,
    terms_json,
)

CONTEXT: Final = ["https://www.w3.org/ns/credentials/v2", "urn:didymos:context:v1"]
LONGEST: Final = timedelta(days=366)
_UUID: Final = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TOP: Final = frozenset({
    "@context", "id", "type", "issuer", "validFrom", "validUntil", "credentialSubject", "cryptoPolicy", "proof",
})  # fmt: skip
_SUBJECT: Final = frozenset({"id", "twin", "actions", "paths", "purposes", "constraints", "budget", "duties"})
_LEARNING: Final = frozenset({Action.TRAIN, Action.DERIVE})


class GrantState(Enum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Grant:
    """A verified grant and where it stands. `digest`: multihash of the credential without its proof."""

    id: GrantId
    twin: TwinId
    owner: Did
    grantee: Did
    terms: Terms
    digest: bytes
    state: GrantState = GrantState.ACTIVE
    revision: int = 1


def grant_document(grant_id: GrantId, owner: Did, grantee: Did, twin: TwinId, terms: Terms) -> dict[str, Json]:
    """The credential before it is signed."""
    return {
        "@context": CONTEXT,
        "id": str(grant_id),
        "type": ["VerifiableCredential", "DidymosGrant"],
        "issuer": str(owner),
        "validFrom": instant_text(terms.valid_from),
        "validUntil": instant_text(terms.valid_until),
        "credentialSubject": {"id": str(grantee), "twin": str(twin), **terms_json(terms)},
        "cryptoPolicy": {"suites": [SUITE]},
    }


def sign_grant(
    grant_id: GrantId, grantee: Did, twin: TwinId, terms: Terms, owner: Signer, at: datetime
) -> dict[str, Json]:
    """The credential, signed by the owner. What `parse_grant` refuses is refused here, before it leaves the wallet."""
    secured = sign_document(grant_document(grant_id, owner.did, grantee, twin, terms), owner, at)
    parse_grant(jcs(secured))
    return secured


def parse_grant(body: bytes) -> Grant:
    """The grant that its issuer signed. Raises DidError `platform.*`, `vc.*`, `grant.*`, `did.*`, `key.*`."""
    said = parse_strict(body)
    if not isinstance(said, dict):
        raise DidError("platform.malformed", "a credential is an object")
    _closed(said, _TOP, _TOP, "")
    if said["@context"] != CONTEXT:
        raise DidError("vc.unknown_context", "exactly the two contexts of a grant are expected", pointer="/@context")
    if said["type"] != ["VerifiableCredential", "DidymosGrant"]:
        raise DidError("vc.unknown_type", "not a DidymosGrant", pointer="/type")
    if said["cryptoPolicy"] != {"suites": [SUITE]}:
        raise DidError("vc.suite_missing", f"the policy names other suites than {SUITE}", pointer="/cryptoPolicy")
    if not isinstance(said["id"], str) or not _UUID.fullmatch(said["id"]):
        raise DidError("grant.id_malformed", "an id is urn:uuid: with a version 7 UUID", pointer="/id")
    owner = _did(said["issuer"], "/issuer")
    subject = said["credentialSubject"]
    if not isinstance(subject, dict):
        raise DidError("platform.malformed", "an object is expected", pointer="/credentialSubject")
    grantee, twin = (
        _did(subject.get("id"), "/credentialSubject/id"),
        _did(subject.get("twin"), "/credentialSubject/twin"),
    )
    terms = _terms(subject, parse_instant(said["validFrom"]), parse_instant(said["validUntil"]))
    verify_document(said, issuer=owner)
    unsecured = {name: member for name, member in said.items() if name != "proof"}
    return Grant(GrantId(said["id"]), TwinId(twin), owner, grantee, terms, digest(unsecured))


def _terms(subject: dict[str, Json], valid_from: datetime, valid_until: datetime) -> Terms:
    at = "/credentialSubject"
    _closed(subject, _SUBJECT, _SUBJECT | {"task"}, at)
    if not valid_from < valid_until or valid_until - valid_from > LONGEST:
        raise DidError(
            "grant.window_invalid", "a window begins before it ends and is at most a year", pointer="/validUntil"
        )
    actions = parse_actions(subject["actions"], f"{at}/actions")
    task = parse_task(subject["task"], f"{at}/task") if "task" in subject else None
    if (task is not None) != bool(_LEARNING & set(actions)):
        raise DidError("grant.task_required", "train and derive need a task, others have none", pointer=f"{at}/task")
    return Terms(
        actions,
        parse_paths(subject["paths"], f"{at}/paths"),
        parse_purposes(subject["purposes"], f"{at}/purposes"),
        valid_from,
        valid_until,
        task,
        parse_terms(subject["constraints"], CONSTRAINTS, f"{at}/constraints"),
        parse_budget(subject["budget"], f"{at}/budget"),
        parse_terms(subject["duties"], DUTIES, f"{at}/duties"),
    )


def _closed(said: dict[str, Json], needed: frozenset[str], known: frozenset[str], at: str) -> None:
    for name in sorted(needed - said.keys()):
        raise DidError("platform.malformed", f"member {name!r} is missing", pointer=f"{at}/{name}")
    for name in sorted(said.keys() - known):
        raise DidError("platform.unknown_field", f"member {name[:64]!r} is not known here", pointer=f"{at}/{name[:64]}")


def _did(said: Json, pointer: str) -> Did:
    try:
        return parse_did(said if isinstance(said, str) else "")
    except DidError as error:
        raise DidError(error.code, error.detail, pointer=pointer) from error


def revoked(grant: Grant) -> Grant:
    """`grant`, ended for good. An ended one comes back as it is."""
    if grant.state in (GrantState.REVOKED, GrantState.EXPIRED):
        return grant
    return replace(grant, state=GrantState.REVOKED, revision=grant.revision + 1)
