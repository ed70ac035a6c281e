"""A grant: a Verifiable Credential in our flat, closed form, signed by the owner of a twin. identity.md section 6."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from didymos_did.conditions import CONSTRAINTS, DUTIES
from didymos_did.credentials import Credential, Form, did_at, open_credential, sign_credential
from didymos_did.errors import DidError
from didymos_did.jcs import Json, jcs
from didymos_did.keys import Did, GrantId, Signer, TwinId
from didymos_did.terms import (
    LEARNING,
    Terms,
    parse_actions,
    parse_budget,
    parse_paths,
    parse_purposes,
    parse_task,
    parse_terms,
    terms_json,
)

FORM: Final = Form(
    "DidymosGrant",
    members=frozenset({"id", "twin", "actions", "paths", "purposes", "constraints", "budget", "duties"}),
    optional=frozenset({"task"}),
    longest=timedelta(days=366),
    window_code="grant.window_invalid",
    id_code="grant.id_malformed",
)


class GrantState(Enum):
    """Where a grant stands. REVOKED and EXPIRED are final."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    EXPIRED = "expired"


ENDED: Final = frozenset({GrantState.REVOKED, GrantState.EXPIRED})


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


def sign_grant(
    grant_id: GrantId, grantee: Did, twin: TwinId, terms: Terms, owner: Signer, at: datetime
) -> dict[str, Json]:
    """The credential, signed by the owner. What `parse_grant` refuses is refused here, before it leaves the wallet."""
    subject = {"id": str(grantee), "twin": str(twin), **terms_json(terms)}
    secured = sign_credential(FORM, (terms.valid_from, terms.valid_until), subject, owner, at, grant_id)
    parse_grant(jcs(secured))
    return secured


def parse_grant(body: bytes) -> Grant:
    """The grant that its issuer signed, new. Raises DidError `platform.*`, `vc.*`, `grant.*`, `did.*`, `key.*`.

    Whether the issuer owns the twin is not known here: registration and `decide` ask that.
    """
    credential = open_credential(body, FORM)
    subject = credential.subject
    return Grant(
        GrantId(credential.id),
        TwinId(did_at(subject["twin"], "/credentialSubject/twin")),
        credential.issuer,
        did_at(subject["id"], "/credentialSubject/id"),
        _terms(credential),
        credential.digest,
    )


def _terms(credential: Credential) -> Terms:
    said, at = credential.subject, "/credentialSubject"
    actions = parse_actions(said["actions"], f"{at}/actions")
    task = parse_task(said["task"], f"{at}/task") if "task" in said else None
    if (task is not None) != bool(LEARNING & set(actions)):
        raise DidError("grant.task_required", "train and derive need a task, others have none", pointer=f"{at}/task")
    return Terms(
        actions,
        parse_paths(said["paths"], f"{at}/paths"),
        parse_purposes(said["purposes"], f"{at}/purposes"),
        credential.valid_from,
        credential.valid_until,
        task,
        parse_terms(said["constraints"], CONSTRAINTS, f"{at}/constraints"),
        parse_budget(said["budget"], f"{at}/budget"),
        parse_terms(said["duties"], DUTIES, f"{at}/duties"),
    )


def revoked(grant: Grant) -> Grant:
    """`grant`, ended for good. An ended one comes back as it is, a suspended one ends: denial is always safe."""
    if grant.state in ENDED:
        return grant
    return replace(grant, state=GrantState.REVOKED, revision=grant.revision + 1)
