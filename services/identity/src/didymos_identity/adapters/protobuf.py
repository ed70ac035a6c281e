"""Events of identity as the messages of its contract, each under a key that no other kind of record has.

The identity topic is compacted: two kinds under one key would drop each other.
"""

from typing import NamedTuple

from didymos.identity.v1 import identity_events_pb2 as pb
from didymos_did import SubjectStatus
from didymos_kit.clock import to_us
from didymos_kit.tails import consent_changed
from google.protobuf.message import Message

from didymos_identity.domain import events
from didymos_identity.domain.device import Device
from didymos_identity.domain.subject import Subject
from didymos_identity.domain.token_key import TokenKey
from didymos_identity.domain.twin import Twin

STATUS = {
    SubjectStatus.ACTIVE: pb.SUBJECT_STATUS_ACTIVE,
    SubjectStatus.SUSPENDED: pb.SUBJECT_STATUS_SUSPENDED,
}


class Addressed(NamedTuple):
    """`message` None: a tombstone of what lies under `key`. Records of one `route` keep their order."""

    message: Message | None
    key: str
    route: str


def addressed(event: events.Event) -> Addressed:
    match event:
        case events.TwinRegistered(twin):
            return Addressed(_registered(twin), twin.id, twin.id)
        case events.TwinKeyDestroyed(twin_id, at):
            destroyed = pb.TwinKeyDestroyed(twin=twin_id)
            destroyed.effective_at.FromDatetime(at)
            return Addressed(destroyed, f"twin-key|{twin_id}", twin_id)
        case events.DeviceEnrolled(device):
            named = f"{device.enrolment.device}|{device.enrolment.twin}"
            return Addressed(_enrolled(device), f"device|{named}", device.enrolment.device)
        case events.DeviceRevoked(device, lost_since):
            said = device.enrolment
            revoked = pb.DeviceRevoked(
                device=said.device, twin=said.twin, lost_since_us=to_us(lost_since), revision=device.revision
            )
            return Addressed(revoked, f"device-lost|{said.device}|{said.twin}", said.device)
        case events.SubjectChanged(subject):
            return Addressed(_subject(subject), f"subject|{subject.did}", subject.did)
        case events.TokenKeyPublished(key):
            return Addressed(_token_key(key), f"token-key|{key.kid}", key.kid)
        case events.TokenKeyForgotten(kid):
            return Addressed(None, f"token-key|{kid}", kid)
        case events.ConsentChanged(grant, at):
            return Addressed(consent_changed(grant, at), f"{grant.twin}|{grant.id}", grant.twin)
        case events.AccessDecided():
            return Addressed(_decided(event), event.request.twin, event.request.twin)


def _registered(twin: Twin) -> pb.TwinRegistered:
    said = pb.TwinRegistered(twin=twin.id, owner=twin.owner, revision=twin.revision)
    said.registered_at.FromDatetime(twin.registered_at)
    return said


def _enrolled(device: Device) -> pb.DeviceEnrolled:
    said = device.enrolment
    return pb.DeviceEnrolled(
        device=said.device, twin=said.twin, paths=said.paths, max_rate=said.max_rate,
        not_before_us=to_us(said.valid_from), until_us=to_us(said.valid_until), revision=device.revision,
        aliases=said.aliases, digest=said.digest, profile=said.profile,
    )  # fmt: skip


def _subject(subject: Subject) -> pb.SubjectChanged:
    return pb.SubjectChanged(
        did=subject.did, kind=subject.kind, status=STATUS[subject.status], revision=subject.revision
    )


def _token_key(key: TokenKey) -> pb.TokenKeyPublished:
    return pb.TokenKeyPublished(
        kid=key.kid, multikey=key.multikey, not_before_us=to_us(key.not_before), not_after_us=to_us(key.not_after)
    )


def _decided(event: events.AccessDecided) -> pb.AccessDecided:
    request, decision = event.request, event.decision
    said = pb.AccessDecided(
        id=event.id, actor=request.actor, principal=request.principal or "", twin=request.twin,
        action=request.action.value, purpose=request.purpose or "", reason=decision.reason.value,
        grant_id=decision.grant or "",
    )  # fmt: skip
    said.at.FromDatetime(event.at)
    return said
