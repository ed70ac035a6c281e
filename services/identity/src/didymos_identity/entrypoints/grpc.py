"""gRPC of identity: the same use cases as REST, for services and sites."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import grpc
from didymos.identity.v1 import identity_service_pb2 as pb
from didymos.identity.v1 import identity_service_pb2_grpc as rpc
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_NOT_FOUND
from didymos_did import (
    AccessRequest,
    Action,
    Facts,
    GrantId,
    KeyId,
    Signed,
    TwinId,
    document,
    jcs,
    parse_did,
    parse_purpose,
)
from didymos_did.tokens import TOKEN_SECONDS
from didymos_kit.http.body import check_text
from didymos_kit.rpc import caller
from didymos_kit.service import Servicer
from didymos_kit.tails import consent_changed

from didymos_identity.adapters.statements import read_grant_credential, read_revocation
from didymos_identity.application.decide_access import AuditQuota, Decided, decide_access
from didymos_identity.application.epoch_keys import epoch_keys
from didymos_identity.application.ports import Work
from didymos_identity.application.read_grant import read_grant
from didymos_identity.application.register_grant import register_grant
from didymos_identity.application.revoke_grant import revoke_grant
from didymos_identity.entrypoints.surface import Desk
from didymos_identity.entrypoints.tokens import TokenDesk
from didymos_identity.entrypoints.watch import Watches

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
EXCHANGE: Final = "/didymos.identity.v1.Tokens/Exchange"
RESOLVE: Final = "/didymos.identity.v1.Resolver/Resolve"


class ResolverRpc(rpc.ResolverServicer):
    async def Resolve(self, request: pb.ResolveRequest, _: Context) -> pb.ResolveResponse:  # noqa: N802
        return pb.ResolveResponse(document=jcs(document(parse_did(request.did))))


class GrantsRpc(rpc.GrantsServicer):
    def __init__(self, desk: Desk, watches: Watches) -> None:
        self._desk, self._watches = desk, watches

    async def Register(self, request: pb.RegisterRequest, _: Context) -> pb.RegisterResponse:  # noqa: N802
        grant, by = read_grant_credential(request.credential), caller().caller
        done = await self._desk.dispatch(
            lambda work: register_grant(grant, request.credential, by, work, self._desk.clock)
        )
        if done.token:
            self._desk.counts.registered.inc()
        stored = consent_changed(done.value, self._desk.clock.now())
        return pb.RegisterResponse(
            grant_id=stored.grant_id, revision=stored.revision, state=stored.state, consistency_token=done.token
        )

    async def Revoke(self, request: pb.RevokeRequest, _: Context) -> pb.RevokeResponse:  # noqa: N802
        said, by = request.statement, caller().caller
        revocation = read_revocation(Signed(said.body, KeyId(said.kid), said.signature))
        done = await self._desk.dispatch(lambda work: revoke_grant(revocation, by, work, self._desk.clock))
        if done.token:
            self._desk.counts.revoked.inc()
        return pb.RevokeResponse(revision=done.value.revision, consistency_token=done.token)

    async def Get(self, request: pb.GetRequest, _: Context) -> pb.GetResponse:  # noqa: N802
        async with self._desk.reading() as reads:
            keepers = self._desk.trusted.keepers
            found = await read_grant(_grant_id(request.grant_id), caller().caller, reads.grants, keepers)
        return pb.GetResponse(grant=consent_changed(found.grant, self._desk.clock.now()), credential=found.credential)

    async def Watch(self, request: pb.WatchRequest, _: Context) -> Any:  # noqa: ANN401, N802 - a stream
        async for answer in self._watches.watch(request, caller().caller):
            yield answer


@dataclass(frozen=True, slots=True)
class DecisionsRpc(rpc.DecisionsServicer):
    """`facts`: what the tails of this process say of a twin, now."""

    desk: Desk
    facts: Callable[[TwinId], Facts]
    quota: AuditQuota

    async def Decide(self, request: pb.DecideRequest, _: Context) -> pb.DecideResponse:  # noqa: N802
        asked, by = _access_request(request), caller().caller
        decided = decide_access(asked, by, self.desk.trusted.services, self.facts(asked.twin), self.desk.clock.now())
        (self.desk.counts.allowed if decided.decision.allowed else self.desk.counts.denied).inc()
        if decided.audit is not None and self.quota.spend(asked.actor):
            await self.desk.dispatch(lambda work: _audited(decided, work))
        if not decided.told:
            raise PLATFORM_NOT_FOUND.problem(twin=asked.twin)
        said = decided.decision
        return pb.DecideResponse(allowed=said.allowed, reason=said.reason.value, grant_id=said.grant or "")


def _grant_id(text: str) -> GrantId:
    check_text(text, "/grant_id")
    return GrantId(text[:128])


async def _audited(decided: Decided, work: Work) -> None:
    if decided.audit is not None:
        work.publish(decided.audit)


def _access_request(said: pb.DecideRequest) -> AccessRequest:
    try:
        action = Action(said.action)
    except ValueError:
        raise PLATFORM_INVALID_FIELD.problem(pointer="/action", detail="no such action") from None
    purpose = parse_purpose(said.purpose) if said.purpose else None
    actor, twin = parse_did(said.actor), TwinId(parse_did(said.twin))
    return AccessRequest(actor, action, twin, tuple(said.paths), purpose)


@dataclass(frozen=True, slots=True)
class VaultRpc(rpc.VaultServicer):
    desk: Desk

    async def EpochKeys(self, request: pb.EpochKeysRequest, _: Context) -> pb.EpochKeysResponse:  # noqa: N802
        wanted = [(TwinId(parse_did(name.twin)), name.epoch) for name in request.wanted]
        desk = self.desk
        async with desk.reading() as reads:
            keys = await epoch_keys(wanted, caller().caller, desk.trusted.readers, reads.twins, desk.vault, desk.clock)
        return pb.EpochKeysResponse(
            keys=[
                pb.EpochKey(twin=twin, epoch=epoch, key=b"" if key is None else key.secret, destroyed=key is None)
                for (twin, epoch), key in zip(wanted, keys, strict=True)
            ]
        )


@dataclass(frozen=True, slots=True)
class TokensRpc(rpc.TokensServicer):
    desk: TokenDesk

    async def Exchange(self, request: pb.ExchangeRequest, _: Context) -> pb.ExchangeResponse:  # noqa: N802
        token = await self.desk.give(request.assertion, None, request.resource, request.purpose)
        return pb.ExchangeResponse(access_token=token, expires_in_seconds=TOKEN_SECONDS)


def servicers(
    desk: Desk, tokens: TokenDesk, watches: Watches, facts: Callable[[TwinId], Facts]
) -> tuple[Servicer, ...]:
    """All of them, each registering itself."""
    decisions = DecisionsRpc(desk, facts, AuditQuota(desk.clock.monotonic))
    return (
        lambda server: rpc.add_ResolverServicer_to_server(ResolverRpc(), server),
        lambda server: rpc.add_GrantsServicer_to_server(GrantsRpc(desk, watches), server),
        lambda server: rpc.add_DecisionsServicer_to_server(decisions, server),
        lambda server: rpc.add_VaultServicer_to_server(VaultRpc(desk), server),
        lambda server: rpc.add_TokensServicer_to_server(TokensRpc(tokens), server),
    )
