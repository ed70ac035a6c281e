"""What REST takes and gives, by name. Credentials travel as the bytes that were signed, never through a model."""

from datetime import datetime
from typing import Annotated, Any, Final

from didymos_did import Grant, Signed, parse_strict, terms_json
from didymos_kit.http import Strict
from pydantic import BaseModel, Field

from didymos_identity.adapters.statements import signed_of
from didymos_identity.application.ports import StoredGrant
from didymos_identity.domain.device import Device
from didymos_identity.domain.subject import Subject
from didymos_identity.domain.twin import Twin

Base64 = Annotated[str, Field(max_length=88_000, pattern=r"^[A-Za-z0-9_-]*$")]
CREDENTIAL: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}
FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["grant_type", "assertion", "resource"],
                    "properties": {
                        name: {"type": "string"} for name in ("grant_type", "assertion", "resource", "purpose")
                    },
                }
            }
        },
    }
}


class SignedBody(Strict):
    """A statement with its detached signature: `body` and `signature` are base64url of the bytes."""

    body: Base64
    kid: Annotated[str, Field(max_length=256)]
    signature: Base64

    def signed(self) -> Signed:
        return signed_of(self.body, self.kid, self.signature)


class TwinBody(Strict):
    """{owner, twin}, signed by both keys."""

    by_owner: SignedBody
    by_twin: SignedBody


class TwinAnswer(BaseModel):
    twin: str
    owner: str
    state: str
    revision: int
    registered_at: datetime

    @classmethod
    def of(cls, twin: Twin) -> "TwinAnswer":
        return cls(
            twin=twin.id,
            owner=twin.owner,
            state=twin.state.value,
            revision=twin.revision,
            registered_at=twin.registered_at,
        )


class DeviceAnswer(BaseModel):
    device: str
    twin: str
    revision: int
    valid_until: datetime
    lost_since: datetime | None

    @classmethod
    def of(cls, device: Device) -> "DeviceAnswer":
        return cls(
            device=device.enrolment.device,
            twin=device.enrolment.twin,
            revision=device.revision,
            valid_until=device.enrolment.valid_until,
            lost_since=device.lost_since,
        )


class GrantAnswer(BaseModel):
    grant_id: str
    twin: str
    owner: str
    grantee: str
    state: str
    revision: int
    valid_from: datetime
    valid_until: datetime
    terms: dict[str, Any]

    @classmethod
    def of(cls, grant: Grant) -> "GrantAnswer":
        return cls(**_said(grant))


class GrantWithCredential(GrantAnswer):
    credential: dict[str, Any]

    @classmethod
    def of_stored(cls, stored: StoredGrant) -> "GrantWithCredential":
        return cls(**_said(stored.grant), credential=parse_strict(stored.credential))


def _said(grant: Grant) -> dict[str, Any]:
    return {
        "grant_id": grant.id, "twin": grant.twin, "owner": grant.owner, "grantee": grant.grantee,
        "state": grant.state.value, "revision": grant.revision, "valid_from": grant.terms.valid_from,
        "valid_until": grant.terms.valid_until, "terms": terms_json(grant.terms),
    }  # fmt: skip


class GrantList(BaseModel):
    grants: list[GrantAnswer]
    next: str | None


class SubjectAnswer(BaseModel):
    did: str
    kind: str
    status: str
    revision: int

    @classmethod
    def of(cls, subject: Subject) -> "SubjectAnswer":
        return cls(did=subject.did, kind=subject.kind, status=subject.status.name.lower(), revision=subject.revision)


class TokenAnswer(BaseModel):
    """RFC 6749 section 5.1, with the type of RFC 9449."""

    access_token: str
    token_type: str = "DPoP"  # noqa: S105 - a type
    expires_in: int
