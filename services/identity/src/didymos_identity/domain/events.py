"""What happened, complete in itself: other services live on these."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from didymos_did import AccessRequest, Decision, Grant, KeyId, TwinId

from didymos_identity.domain.device import Device
from didymos_identity.domain.subject import Subject
from didymos_identity.domain.token_key import TokenKey
from didymos_identity.domain.twin import Twin


@dataclass(frozen=True, slots=True)
class TwinRegistered:
    twin: Twin


@dataclass(frozen=True, slots=True)
class TwinKeyDestroyed:
    twin: TwinId
    effective_at: datetime


@dataclass(frozen=True, slots=True)
class DeviceEnrolled:
    device: Device


@dataclass(frozen=True, slots=True)
class DeviceRevoked:
    device: Device
    lost_since: datetime


@dataclass(frozen=True, slots=True)
class SubjectChanged:
    subject: Subject


@dataclass(frozen=True, slots=True)
class TokenKeyPublished:
    key: TokenKey


@dataclass(frozen=True, slots=True)
class TokenKeyForgotten:
    """Its last token is long over: the record of the key goes."""

    kid: KeyId


@dataclass(frozen=True, slots=True)
class ConsentChanged:
    grant: Grant
    effective_at: datetime


@dataclass(frozen=True, slots=True)
class AccessDecided:
    """`id`: recomputable from what the decision was made of."""

    id: str
    request: AccessRequest
    decision: Decision
    at: datetime


Event: TypeAlias = (
    TwinRegistered
    | TwinKeyDestroyed
    | DeviceEnrolled
    | DeviceRevoked
    | SubjectChanged
    | TokenKeyPublished
    | TokenKeyForgotten
    | ConsentChanged
    | AccessDecided
)
