"""REST of a witness: C2SP tlog-witness."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, Protocol

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_kit.http.body import accepts
from didymos_kit.http.principal import PUBLIC
from didymos_kit.http.problems import problems
from didymos_kit.telemetry.metrics import Counter
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from didymos_ledger.application.ports import WitnessAnswer, WitnessStates
from didymos_ledger.application.witness import MAX_REQUEST_BYTES, OK, SIZE_TYPE

TEXT: Final = "text/plain; charset=utf-8"
CONFLICT: Final = 409
SPECIFIED: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "No such request", "content": {"text/plain": {}}},
    403: {"description": "No signature of a log that is known", "content": {"text/plain": {}}},
    404: {"description": "A log that is not known", "content": {"text/plain": {}}},
    CONFLICT: {"description": "Another size is the newest here; it is told", "content": {SIZE_TYPE: {}}},
    422: {"description": "The proof does not fit", "content": {"text/plain": {}}},
}


class Asked(Protocol):
    """The witness that this process is."""

    @property
    def states(self) -> WitnessStates: ...

    async def add_checkpoint(self, request: bytes) -> WitnessAnswer: ...


def witness_routes(witness: Asked, origins: Sequence[str], cosigned: Counter, refused: Counter) -> APIRouter:
    """`origins`: of the logs that it knows."""
    router = APIRouter(prefix="/witness", tags=["witness"], dependencies=[PUBLIC])
    by_hash = {sha256(origin.encode()).hexdigest(): origin for origin in origins}

    @router.post("/add-checkpoint", response_class=PlainTextResponse, responses=SPECIFIED)
    @accepts(limit=MAX_REQUEST_BYTES)
    async def add_checkpoint(request: Request) -> Response:
        """Cosign a checkpoint that extends the one before. Answers as the specification has it, not as a problem."""
        answer = await witness.add_checkpoint(await request.body())
        (cosigned if answer.status == OK else refused).inc()
        return Response(answer.body, answer.status, media_type=SIZE_TYPE if answer.status == CONFLICT else TEXT)

    @router.get("/{origin_hash}/checkpoint", response_class=PlainTextResponse, responses=problems(PLATFORM_NOT_FOUND))
    async def checkpoint(origin_hash: str) -> Response:
        """The newest checkpoint that it cosigned of a log; the log is named by the SHA-256 of its origin."""
        origin = by_hash.get(origin_hash)
        found = None if origin is None else await witness.states.find(origin)
        if found is None:
            raise PLATFORM_NOT_FOUND.problem(origin=origin_hash[:64])
        return Response(found.note, media_type=TEXT, headers={"cache-control": "no-store"})

    return router
