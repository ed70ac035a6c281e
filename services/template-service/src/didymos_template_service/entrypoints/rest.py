"""REST: parse, dispatch, answer."""

from datetime import datetime

from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_NOT_FOUND
from didymos_did import TwinId
from didymos_kit.clock import Clock
from didymos_kit.dispatch import Dispatcher, answer
from didymos_kit.http.body import Strict
from didymos_kit.http.principal import Caller
from didymos_kit.http.problems import problems
from fastapi import APIRouter, Response
from pydantic import BaseModel

from didymos_template_service.application.ports import Owners, Work
from didymos_template_service.application.read_note import read_note
from didymos_template_service.application.write_note import write_note
from didymos_template_service.domain.note import Note


class NoteBody(Strict):
    text: str


class NoteView(BaseModel):
    twin: str
    text: str
    written_at: datetime

    @classmethod
    def of(cls, note: Note) -> "NoteView":
        return cls(twin=note.twin, text=note.text, written_at=note.written_at)


def routes(dispatch: Dispatcher[Work], owners: Owners, clock: Clock) -> APIRouter:
    router = APIRouter(prefix="/v1/notes")

    @router.put("/{twin}", responses=problems(PLATFORM_NOT_FOUND, PLATFORM_INVALID_FIELD))
    async def put(twin: str, body: NoteBody, caller: Caller, response: Response) -> NoteView:
        """Keep a note about a twin, in place of the one before."""
        done = await dispatch(lambda work: write_note(TwinId(twin), body.text, caller.did, owners, work, clock))
        return NoteView.of(answer(response, done))

    @router.get("/{twin}", responses=problems(PLATFORM_NOT_FOUND))
    async def get(twin: str, caller: Caller) -> NoteView:
        done = await dispatch(lambda work: read_note(TwinId(twin), caller.did, owners, work))
        return NoteView.of(done.value)

    return router
