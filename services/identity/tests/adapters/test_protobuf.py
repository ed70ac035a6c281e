"""Events as records: a compacted topic keeps one record a key, so no two kinds may share one."""

from didymos.identity.v1 import identity_events_pb2 as pb
from didymos_contracts.topics import TOPICS
from didymos_did import AccessRequest, Action, Decision, Effect, Reason, SubjectStatus, TwinId, parse_device_enrolment
from didymos_identity.adapters.protobuf import addressed
from didymos_identity.domain import events
from didymos_identity.domain.device import Device
from didymos_identity.domain.subject import Subject
from didymos_identity.domain.token_key import token_key
from didymos_identity.domain.twin import Twin
from didymos_testing.did import NOON, OWNER, TWIN, a_grant, a_signer
from didymos_testing.identity import an_enrolment

SIGNER = a_signer("token key")
KEY = token_key(SIGNER.kid, SIGNER.public.multikey, NOON)
DEVICE = Device(parse_device_enrolment(an_enrolment()), 2)
TWIN_ID = TwinId(TWIN.did)
IDENTITY_EVENTS = (
    events.TwinRegistered(Twin(TWIN_ID, OWNER.did, NOON)),
    events.TwinKeyDestroyed(TWIN_ID, NOON),
    events.DeviceEnrolled(DEVICE),
    events.DeviceRevoked(DEVICE, NOON),
    events.SubjectChanged(Subject(OWNER.did, "owner", SubjectStatus.SUSPENDED, 1)),
    events.SubjectChanged(Subject(TWIN.did, "", SubjectStatus.SUSPENDED, 1)),
    events.TokenKeyPublished(KEY),
)


def test_no_two_kinds_of_record_share_a_key() -> None:
    keys = [addressed(event).key for event in IDENTITY_EVENTS]
    assert len(set(keys)) == len(keys)
    assert addressed(IDENTITY_EVENTS[0]).key == TWIN.did


def test_every_event_belongs_to_a_topic_of_the_catalogue() -> None:
    named = {name for row in TOPICS for name in row.events}
    for event in IDENTITY_EVENTS:
        message = addressed(event).message
        assert message is not None
        assert message.DESCRIPTOR.full_name in named


def test_a_forgotten_key_is_a_tombstone_under_the_key_of_its_record() -> None:
    forgotten = addressed(events.TokenKeyForgotten(KEY.kid))
    assert (forgotten.message, forgotten.key) == (None, addressed(events.TokenKeyPublished(KEY)).key)


def test_all_grants_of_a_twin_lie_in_one_partition() -> None:
    record = addressed(events.ConsentChanged(a_grant(), NOON))
    assert (record.key, record.route) == (f"{TWIN.did}|{a_grant().id}", TWIN.did)


def test_an_audit_record_says_who_was_denied_what_and_why() -> None:
    request = AccessRequest(OWNER.did, Action.READ, TWIN_ID, ("features/a",), None)
    record = addressed(events.AccessDecided("id", request, Decision(Effect.DENY, Reason.NO_GRANT), NOON))
    assert isinstance(record.message, pb.AccessDecided)
    assert (record.key, record.message.reason, record.message.purpose) == (TWIN.did, "no_grant", "")
