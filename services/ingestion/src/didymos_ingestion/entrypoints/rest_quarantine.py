"""The owner's view of the quarantine, and the way out of it."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from didymos_contracts.errors.identity import CONSENT_STALE, KEY_DESTROYED
from didymos_contracts.errors.ingestion import PROFILE_UNKNOWN, TWIN_SUSPENDED
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND, PLATFORM_UNAVAILABLE
from didymos_did import Did, Facts, TwinId
from didymos_kit.clock import Clock
from didymos_kit.dispatch import TOKEN
from didymos_kit.http import Caller, Principal, Strict, problems
from didymos_kit.http.paging import CursorQuery, Cursors, Limit
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from didymos_ingestion.application.accept_batch import Taken
from didymos_ingestion.application.keep_refusals import Asker, ListRefusals, list_refusals
from didymos_ingestion.application.release_refusals import Release, Releasing, release_refusals
from didymos_ingestion.domain.refusal import KeptRefusal


class Refused(BaseModel):
    """Readings `index` to `index + count - 1` of a batch were refused; `position` is where their content is kept."""

    twin: str
    device: str
    batch: str
    index: int
    count: int
    code: str
    detail: str
    profile: str
    position: str
    received_at: datetime
    released: bool

    @classmethod
    def of(cls, kept: KeptRefusal) -> "Refused":
        return cls(
            twin=kept.twin, device=kept.device, batch=kept.batch.hex(), index=kept.index, count=kept.count,
            code=kept.code, detail=kept.detail, profile=kept.profile, position=f"{kept.partition}:{kept.offset}",
            received_at=kept.received_at, released=kept.released,
        )  # fmt: skip


class RefusedPage(BaseModel):
    refusals: list[Refused]
    next: str | None


class ReleaseBody(Strict):
    """Which batch of which twin, and the profile that its readings are judged by now."""

    twin: Annotated[str, Field(min_length=1, max_length=256)]
    batch: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    profile: Annotated[str, Field(min_length=1, max_length=128)]


class StillRefused(BaseModel):
    index: int
    count: int
    code: str
    detail: str


class Released(BaseModel):
    """How many readings were accepted after all, and what is refused still."""

    batch: str
    accepted: int
    refused: list[StillRefused]
    token: str

    @classmethod
    def of(cls, taken: Taken) -> "Released":
        refused = [
            StillRefused(index=each.index, count=each.count, code=each.code, detail=each.detail)
            for each in taken.refused
        ]
        return cls(batch=taken.digest.hex(), accepted=taken.accepted, refused=refused, token=taken.token)


def quarantine_routes(tools: Releasing, facts: Callable[[TwinId], Facts], cursors: Cursors, clock: Clock) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.get("/quarantine", responses=problems(PLATFORM_NOT_FOUND, CONSENT_STALE))
    async def show(
        caller: Caller, twin: Annotated[str, Query(min_length=1, max_length=256)], limit: Limit = 50,
        cursor: CursorQuery = None,
    ) -> RefusedPage:  # fmt: skip
        """What was refused of the readings of a twin, and why: for its owner."""
        name = TwinId(Did(twin))
        bound = {"twin": twin, "caller": caller.caller}
        query = ListRefusals(_asker(caller), name, _place(cursors.read(cursor, bound)), limit + 1)
        found = await list_refusals(query, facts(name), tools.refusals, clock.now())
        page = cursors.page(found, limit, lambda each: (each.partition, each.offset, each.index), bound)
        return RefusedPage(refusals=[Refused.of(each) for each in page.rows], next=page.next)

    refused = problems(PLATFORM_NOT_FOUND, PROFILE_UNKNOWN, KEY_DESTROYED, TWIN_SUSPENDED, PLATFORM_UNAVAILABLE)

    @router.post("/quarantine:release", responses=refused)
    async def release(body: ReleaseBody, caller: Caller, response: Response) -> Released:
        """Accept what a batch had refused, under a profile that fits it. The owner's word stands for the enrolment."""
        name = TwinId(Did(body.twin))
        asked = Release(_asker(caller), name, bytes.fromhex(body.batch), body.profile)
        taken = await release_refusals(asked, facts(name), tools, clock)
        if taken.token:
            response.headers[TOKEN] = taken.token
        return Released.of(taken)

    return router


def _asker(caller: Principal) -> Asker:
    return Asker(caller.caller, None if caller.actor is None else caller.did, caller.purpose)


def _place(after: tuple[str | int, ...] | None) -> tuple[int, int, int] | None:
    if after is None:
        return None
    part, offset, index = map(int, after)
    return part, offset, index
