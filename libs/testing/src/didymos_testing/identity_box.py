"""An identity service in a box, for tests of the others: it publishes what identity would, on the real topics.

It issues tokens for whoever proves a DID, keeps one key per twin, and beats. It decides nothing: tests say what is so.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import uuid4

import grpc
from didymos.identity.v1 import identity_events_pb2 as events
from didymos.identity.v1 import identity_service_pb2 as messages
from didymos.identity.v1.identity_service_pb2_grpc import (
    GrantsServicer,
    TokensServicer,
    VaultServicer,
    add_GrantsServicer_to_server,
    add_TokensServicer_to_server,
    add_VaultServicer_to_server,
)
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND, PLATFORM_UNAUTHENTICATED
from didymos_contracts.topics import CONSENT, HEARTBEAT, IDENTITY, TopicRow
from didymos_did import (
    DeviceEnrolment,
    Did,
    DidError,
    Grant,
    KeyId,
    Signed,
    TwinId,
    parse_grant,
    revoked,
    verify_revocation,
)
from didymos_did.tokens import AccessClaims, issue_token, verify_assertion
from didymos_kit.clock import to_us
from didymos_kit.eventlog import Position, Record, envelope
from didymos_kit.house import House
from didymos_kit.rpc.tokens import TOKEN_PATH
from didymos_kit.service import Service, Stopping
from didymos_kit.tails import consent_changed
from google.protobuf.message import Message

SECONDS = 300
DAY_US = 86_400_000_000


@dataclass
class IdentityBox:
    """`await box.register(twin, owner)`; each returns the consistency token of what it published."""

    house: House
    revisions: dict[str, int] = field(default_factory=dict)
    destroyed: set[TwinId] = field(default_factory=set)
    credentials: dict[str, bytes] = field(default_factory=dict)
    held: dict[str, Grant] = field(default_factory=dict)

    @property
    def service(self) -> Service:
        def register(server: grpc.aio.Server) -> None:
            add_TokensServicer_to_server(_Tokens(self.house), server)
            add_VaultServicer_to_server(_Vault(self), server)
            add_GrantsServicer_to_server(_Grants(self), server)

        return Service(
            "identity", servicers=(register,), loops=(self.beat,),
            public_rpcs=frozenset({"/didymos.identity.v1.Tokens/Exchange"}),
        )  # fmt: skip

    async def open(self) -> None:
        """Publish the key that tokens are signed with."""
        signer, now = self.house.keys.signer("identity"), self.house.clock.now_us()
        event = events.TokenKeyPublished(
            kid=signer.kid, multikey=signer.public.multikey, not_before_us=now - DAY_US, not_after_us=now + 30 * DAY_US
        )
        await self._publish(IDENTITY, f"token-key|{signer.kid}", event)

    async def beat(self, stopping: Stopping) -> None:
        async with self.house.event_log.writer("identity.heartbeat") as writer:
            while not stopping:
                ends = await self.house.event_log.ends([CONSENT.name, IDENTITY.name])
                event = events.IdentityHeartbeat(
                    age_ms=0, relay_epoch=1,
                    consent_next=[end for part, end in sorted(ends.items()) if part.topic == CONSENT.name],
                    identity_next=[end for part, end in sorted(ends.items()) if part.topic == IDENTITY.name],
                )  # fmt: skip
                await writer.append([self._record(HEARTBEAT, "beat", event, None)])
                await stopping.within(0.2)

    async def register(self, twin: TwinId, owner: Did) -> str:
        event = events.TwinRegistered(twin=twin, owner=owner, revision=self._next(f"twin|{twin}"))
        return await self._publish(IDENTITY, f"twin|{twin}", event)

    async def enrol(self, enrolment: DeviceEnrolment) -> str:
        key = f"device|{enrolment.device}|{enrolment.twin}"
        event = events.DeviceEnrolled(
            device=enrolment.device, twin=enrolment.twin, paths=enrolment.paths, max_rate=enrolment.max_rate,
            not_before_us=to_us(enrolment.valid_from), until_us=to_us(enrolment.valid_until),
            revision=self._next(key), aliases=enrolment.aliases, digest=enrolment.digest, profile=enrolment.profile,
        )  # fmt: skip
        return await self._publish(IDENTITY, key, event)

    async def lose(self, device: Did, twin: TwinId, since: datetime) -> str:
        key = f"device|{device}|{twin}"
        event = events.DeviceRevoked(device=device, twin=twin, lost_since_us=to_us(since), revision=self._next(key))
        return await self._publish(IDENTITY, f"lost|{key}", event)

    async def suspend(self, did: Did, *, restored: bool = False) -> str:
        status = events.SUBJECT_STATUS_ACTIVE if restored else events.SUBJECT_STATUS_SUSPENDED
        event = events.SubjectChanged(did=did, kind="owner", status=status, revision=self._next(f"subject|{did}"))
        return await self._publish(IDENTITY, f"subject|{did}", event)

    async def grant(self, grant: Grant, credential: bytes = b"") -> str:
        self.credentials[grant.id], self.held[grant.id] = credential, grant
        event = consent_changed(grant, self.house.clock.now())
        return await self._publish(CONSENT, f"{grant.twin}|{grant.id}", event, grant.twin)

    async def revoke(self, grant: Grant) -> str:
        return await self.grant(revoked(grant), self.credentials.get(grant.id, b""))

    async def destroy(self, twin: TwinId) -> str:
        self.destroyed.add(twin)
        event = events.TwinKeyDestroyed(twin=twin)
        event.effective_at.FromDatetime(self.house.clock.now())
        return await self._publish(IDENTITY, f"destroyed|{twin}", event)

    def _next(self, key: str) -> int:
        self.revisions[key] = self.revisions.get(key, 0) + 1
        return self.revisions[key]

    async def _publish(self, topic: TopicRow, key: str, event: Message, route: str | None = None) -> str:
        async with self.house.event_log.writer("identity.box") as writer:
            (position,) = await writer.append([self._record(topic, key, event, route)])
        return _token(position, "i" if topic is IDENTITY else "c")

    def _record(self, topic: TopicRow, key: str, event: Message, route: str | None) -> Record:
        now = self.house.clock.now()
        said = envelope.Envelope(str(uuid4()), "didymos://test/identity", event.DESCRIPTOR.full_name, now)
        routed = None if route is None else route.encode()
        value = event.SerializeToString(deterministic=True)
        return Record(topic.name, key.encode(), value, envelope.build(said), to_us(now) // 1000, routed)


def _token(position: Position, prefix: str) -> str:
    return f"{prefix}{position}"


class _Tokens(TokensServicer):
    def __init__(self, house: House) -> None:
        self._house = house

    async def Exchange(self, request: messages.ExchangeRequest, _context: object) -> messages.ExchangeResponse:  # noqa: N802
        house, now = self._house, self._house.clock.now_us() // 1_000_000
        try:
            found = verify_assertion(request.assertion, house.origin + TOKEN_PATH, now)
        except DidError as error:
            raise PLATFORM_UNAUTHENTICATED.problem(detail=error.detail) from error
        signer = house.keys.signer("identity")
        claims = AccessClaims(
            issuer=signer.did, subject=found.subject, audience=request.resource, jkt=found.jkt, issued_at=now,
            expires_at=now + SECONDS, jti=uuid4().hex, purpose=request.purpose,
        )  # fmt: skip
        return messages.ExchangeResponse(access_token=issue_token(claims, signer), expires_in_seconds=SECONDS)


class _Vault(VaultServicer):
    def __init__(self, box: IdentityBox) -> None:
        self._box = box

    async def EpochKeys(self, request: messages.EpochKeysRequest, _context: object) -> messages.EpochKeysResponse:  # noqa: N802
        return messages.EpochKeysResponse(keys=[self._key(wanted) for wanted in request.wanted])

    def _key(self, wanted: messages.EpochKeyName) -> messages.EpochKey:
        if wanted.twin in self._box.destroyed:
            return messages.EpochKey(twin=wanted.twin, epoch=wanted.epoch, destroyed=True)
        secret = sha256(f"{wanted.twin}|{wanted.epoch}".encode()).digest()
        return messages.EpochKey(twin=wanted.twin, epoch=wanted.epoch, key=secret)


class _Grants(GrantsServicer):
    def __init__(self, box: IdentityBox) -> None:
        self._box = box

    async def Register(self, request: messages.RegisterRequest, _context: object) -> messages.RegisterResponse:  # noqa: N802
        grant = parse_grant(request.credential)
        token = await self._box.grant(grant, request.credential)
        return messages.RegisterResponse(grant_id=grant.id, revision=grant.revision, consistency_token=token)

    async def Revoke(self, request: messages.RevokeRequest, _context: object) -> messages.RevokeResponse:  # noqa: N802
        said = request.statement
        statement = verify_revocation(Signed(said.body, KeyId(said.kid), said.signature))
        token = await self._box.revoke(self._held(statement.grant))
        return messages.RevokeResponse(consistency_token=token)

    async def Get(self, request: messages.GetRequest, _context: object) -> messages.GetResponse:  # noqa: N802
        held = self._held(request.grant_id)
        credential = self._box.credentials[held.id]
        return messages.GetResponse(grant=consent_changed(held, self._box.house.clock.now()), credential=credential)

    async def Watch(self, request: messages.WatchRequest, _context: object) -> AsyncIterator[messages.WatchResponse]:  # noqa: N802
        """The grants as they stand, each change, and a beat a second."""
        consent, told = self._box.house.consent, set[tuple[str, int]]()
        while True:
            for grant in (grant for twin in request.twins for grant in consent.grants(TwinId(Did(twin)))):
                if (grant.id, grant.revision) not in told:
                    told.add((grant.id, grant.revision))
                    yield messages.WatchResponse(changed=consent_changed(grant, self._box.house.clock.now()))
            yield messages.WatchResponse(staleness_ms=int(consent.staleness_seconds() * 1000))
            await asyncio.sleep(0.2)

    def _held(self, grant_id: str) -> Grant:
        held = self._box.held.get(grant_id)
        if held is None:
            raise PLATFORM_NOT_FOUND.problem(grant=grant_id)
        return held


def all_tokens(tokens: Sequence[str]) -> str:
    """Several consistency tokens as one."""
    return ",".join(token for token in tokens if token)
