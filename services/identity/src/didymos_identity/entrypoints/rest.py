"""REST of twins, devices, grants and subjects: parse, dispatch, answer."""

from typing import Annotated

from didymos_contracts.errors.identity import (
    ENROLMENT_INVALID,
    ENROLMENT_WINDOW_INVALID,
    GRANT_ID_CONFLICT,
    GRANT_NOT_OWNER,
    GRANT_OTHER_CREDENTIAL,
    GRANT_REVOCATION_INVALID,
    GRANT_WINDOW_INVALID,
    KEY_DESTROYED,
    TWIN_OWNED,
    VC_PROOF_INVALID,
)
from didymos_contracts.errors.platform import PLATFORM_FORBIDDEN, PLATFORM_INVALID_FIELD, PLATFORM_NOT_FOUND
from didymos_did import (
    Did,
    GrantId,
    SubjectStatus,
    TwinId,
    document,
    jcs,
    parse_did,
    verify_device_revocation,
    verify_erasure,
    verify_twin_registration,
)
from didymos_kit.dispatch import answer
from didymos_kit.http import PUBLIC, Caller, problems, require_media
from didymos_kit.http.paging import LIMIT, CursorQuery, Cursors, Limit
from fastapi import APIRouter, Path, Query, Request, Response

from didymos_identity.adapters.statements import read_device_enrolment, read_grant_credential, read_revocation
from didymos_identity.application.change_subject import change_subject
from didymos_identity.application.enrol_device import enrol_device
from didymos_identity.application.erase_twin import erase_twin
from didymos_identity.application.ports import GrantQuery
from didymos_identity.application.read_grant import read_grant
from didymos_identity.application.read_twin import read_twin
from didymos_identity.application.register_grant import register_grant
from didymos_identity.application.register_twin import register_twin
from didymos_identity.application.revoke_device import revoke_device
from didymos_identity.application.revoke_grant import revoke_grant
from didymos_identity.entrypoints.bodies import (
    CREDENTIAL,
    DeviceAnswer,
    GrantAnswer,
    GrantList,
    GrantWithCredential,
    SignedBody,
    SubjectAnswer,
    TwinAnswer,
    TwinBody,
)
from didymos_identity.entrypoints.surface import Desk, joined

Name = Annotated[str, Path(max_length=128)]


async def _json(request: Request) -> bytes:
    """The body as it was sent: a signature covers its bytes."""
    require_media(request, "application/json")
    return await request.body()


def _same(pointer: str, path: str, said: str) -> None:
    if path != said:
        raise PLATFORM_INVALID_FIELD.problem(pointer=pointer, detail="the path names another", expected=path)


def documents() -> APIRouter:
    router = APIRouter(prefix="/v1/dids", tags=["dids"])

    @router.get("/{did}", dependencies=[PUBLIC], response_class=Response)
    async def read_document(did: Name) -> Response:
        """The DID document. A did:key is its own: nothing is looked up."""
        return Response(jcs(document(parse_did(did))), media_type="application/did")

    return router


def twins(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/twins", tags=["twins"])

    @router.post("", responses=problems(TWIN_OWNED, KEY_DESTROYED, VC_PROOF_INVALID, PLATFORM_FORBIDDEN))
    async def register(body: TwinBody, caller: Caller, response: Response) -> TwinAnswer:
        registration = verify_twin_registration(body.by_owner.signed(), body.by_twin.signed())
        done = await desk.dispatch(lambda work: register_twin(registration, caller.caller, work, desk.clock))
        if done.token:
            desk.counts.twins.inc()
        return TwinAnswer.of(answer(response, done))

    @router.get("/{did}", responses=problems(PLATFORM_NOT_FOUND))
    async def read(did: Name, caller: Caller) -> TwinAnswer:
        async with desk.reading() as reads:
            return TwinAnswer.of(await read_twin(TwinId(parse_did(did)), caller.caller, reads.twins))

    @router.post("/{did}/erase", responses=problems(PLATFORM_NOT_FOUND, VC_PROOF_INVALID))
    async def erase(did: Name, statement: SignedBody, caller: Caller, response: Response) -> TwinAnswer:
        erasure = verify_erasure(statement.signed())
        _same("/twin", did, erasure.twin)
        begun, ended = await erase_twin(erasure, caller.caller, desk.dispatch, desk.vault, desk.clock)
        if ended.token:
            desk.counts.destroyed.inc()
        return TwinAnswer.of(answer(response, joined(begun, ended)))

    return router


def devices(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/devices", tags=["devices"])
    refusals = problems(
        ENROLMENT_INVALID, ENROLMENT_WINDOW_INVALID, GRANT_NOT_OWNER, KEY_DESTROYED, VC_PROOF_INVALID,
        PLATFORM_FORBIDDEN,
    )  # fmt: skip

    @router.post("", responses=refusals, openapi_extra=CREDENTIAL)
    async def enrol(request: Request, caller: Caller, response: Response) -> DeviceAnswer:
        enrolment = read_device_enrolment(await _json(request))
        done = await desk.dispatch(lambda work: enrol_device(enrolment, caller.caller, work, desk.clock))
        return DeviceAnswer.of(answer(response, done))

    @router.post("/{did}/revoke", responses=problems(PLATFORM_NOT_FOUND, VC_PROOF_INVALID))
    async def revoke(did: Name, statement: SignedBody, caller: Caller, response: Response) -> DeviceAnswer:
        revocation = verify_device_revocation(statement.signed())
        _same("/device", did, revocation.device)
        done = await desk.dispatch(lambda work: revoke_device(revocation, caller.caller, work))
        return DeviceAnswer.of(answer(response, done))

    return router


def grants(desk: Desk, cursors: Cursors) -> APIRouter:
    router = APIRouter(prefix="/v1/grants", tags=["grants"])
    refusals = problems(
        GRANT_NOT_OWNER, GRANT_WINDOW_INVALID, GRANT_ID_CONFLICT, KEY_DESTROYED, VC_PROOF_INVALID, PLATFORM_FORBIDDEN
    )

    @router.post("", responses=refusals, openapi_extra=CREDENTIAL)
    async def register(request: Request, caller: Caller, response: Response) -> GrantAnswer:
        credential = await _json(request)
        grant = read_grant_credential(credential)
        done = await desk.dispatch(lambda work: register_grant(grant, credential, caller.caller, work, desk.clock))
        if done.token:
            desk.counts.registered.inc()
        return GrantAnswer.of(answer(response, done))

    @router.get("")
    async def page(
        caller: Caller,
        twin: Annotated[str | None, Query(max_length=128)] = None,
        cursor: CursorQuery = None,
        limit: Limit = LIMIT,
    ) -> GrantList:
        """Grants that the caller gave or got, by id. A stranger gets an empty list for any twin."""
        bound = {"party": caller.caller, "twin": twin or ""}
        after = cursors.read(cursor, bound)
        query = GrantQuery(
            caller.caller,
            None if twin is None else TwinId(parse_did(twin)),
            None if after is None else GrantId(str(after[0])),
            limit,
        )
        async with desk.reading() as reads:
            found = cursors.page(await reads.grants.page(query), limit, lambda grant: (grant.id,), bound)
        return GrantList(grants=[GrantAnswer.of(grant) for grant in found.rows], next=found.next)

    @router.get("/{grant_id}", responses=problems(PLATFORM_NOT_FOUND))
    async def read(grant_id: Name, caller: Caller) -> GrantWithCredential:
        async with desk.reading() as reads:
            return GrantWithCredential.of_stored(await read_grant(GrantId(grant_id), caller.caller, reads.grants))

    @router.post(
        "/{grant_id}/revoke", responses=problems(GRANT_REVOCATION_INVALID, GRANT_OTHER_CREDENTIAL, PLATFORM_NOT_FOUND)
    )
    async def revoke(grant_id: Name, statement: SignedBody, caller: Caller, response: Response) -> GrantAnswer:
        revocation = read_revocation(statement.signed())
        _same("/grant", grant_id, revocation.grant)
        done = await desk.dispatch(lambda work: revoke_grant(revocation, caller.caller, work, desk.clock))
        if done.token:
            desk.counts.revoked.inc()
        return GrantAnswer.of(answer(response, done))

    return router


def subjects(desk: Desk) -> APIRouter:
    """For administrators: anybody else is told that there is nothing."""
    router = APIRouter(prefix="/v1/subjects", tags=["subjects"])
    refusals = problems(PLATFORM_NOT_FOUND, PLATFORM_INVALID_FIELD)

    async def change(did: str, status: SubjectStatus, caller: Did, response: Response) -> SubjectAnswer:
        subject, administrators = parse_did(did), desk.trusted.administrators
        done = await desk.dispatch(lambda work: change_subject(subject, status, caller, administrators, work))
        return SubjectAnswer.of(answer(response, done))

    @router.post("/{did}/suspend", responses=refusals)
    async def suspend(did: Name, caller: Caller, response: Response) -> SubjectAnswer:
        return await change(did, SubjectStatus.SUSPENDED, caller.caller, response)

    @router.post("/{did}/restore", responses=refusals)
    async def restore(did: Name, caller: Caller, response: Response) -> SubjectAnswer:
        return await change(did, SubjectStatus.ACTIVE, caller.caller, response)

    return router
