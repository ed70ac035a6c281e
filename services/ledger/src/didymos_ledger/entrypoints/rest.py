"""REST of the log: tiles and checkpoints for anybody (C2SP tlog-tiles), proofs, bundles, the two trust files."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Final

from didymos_contracts.errors import Problem
from didymos_contracts.errors.ledger import LEDGER_NOT_YET_PUBLISHED
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_MALFORMED, PLATFORM_NOT_FOUND
from didymos_kit.clock import Clock
from didymos_kit.http.body import Strict
from didymos_kit.http.principal import PUBLIC, Caller
from didymos_kit.http.problems import problems
from didymos_kit.telemetry.metrics import Counter
from didymos_provenance import Bundle, Organisation, ProvenanceError, Tile, parse_place
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from pydantic import Field

from didymos_ledger.application.make_bundle import find_claim, make_bundle
from didymos_ledger.application.newest import Newest
from didymos_ledger.application.ports import EntryLog, Records
from didymos_ledger.application.prove import prove_event
from didymos_ledger.application.trust_files import orgs_file

TEXT: Final = "text/plain; charset=utf-8"
BYTES: Final = "application/octet-stream"
JSON: Final = "application/json"
IMMUTABLE: Final = "public, max-age=31536000, immutable"
EVENT_HEX: Final = 32
NOT_FOUND: Final = problems(PLATFORM_NOT_FOUND)


class Octets(Response):
    """Bytes as they are."""

    media_type = BYTES


class BundleBody(Strict):
    """`id`: of the grant, agreement, round (`<run>/rounds/<n>`), model or transfer."""

    kind: Annotated[str, Field(max_length=32)]
    id: Annotated[str, Field(min_length=1, max_length=256)]


@dataclass(frozen=True, slots=True)
class Proofs:
    """Proofs asked for, by how it went."""

    served: Counter
    pending: Counter
    unknown: Counter

    def count(self, problem: Problem | None) -> None:
        if problem is None:
            self.served.inc()
        elif problem.row == LEDGER_NOT_YET_PUBLISHED:
            self.pending.inc()
        elif problem.row == PLATFORM_NOT_FOUND:
            self.unknown.inc()


@dataclass(frozen=True, slots=True)
class Shown:
    """What the routes work with."""

    log: EntryLog
    newest: Newest
    records: Callable[[], AbstractAsyncContextManager[Records]]
    policy: bytes
    operator: Organisation
    proofs: Proofs
    clock: Clock


def log_routes(shown: Shown, shard: int) -> APIRouter:
    """What a monitor and a witness read: no login, as C2SP has it."""
    router = APIRouter(prefix=f"/log/{shard}", tags=["log"], dependencies=[PUBLIC])

    @router.get("/checkpoint", response_class=PlainTextResponse)
    async def checkpoint() -> Response:
        """The newest checkpoint; with the cosignatures of its witnesses as soon as they agreed."""
        head, agreed = shown.log.head(), shown.newest.agreed
        known = agreed is not None and agreed.checkpoint.size == head.checkpoint.size
        note = agreed.note if agreed is not None and known else head.note
        return Response(note.encode(), media_type=TEXT, headers={"cache-control": "no-store"})

    @router.get("/tile/{path:path}", response_class=Octets, responses=NOT_FOUND)
    async def tile(path: str) -> Response:
        """A tile of hashes or of entries, full or partial. What no checkpoint covers is not found."""
        try:
            place: Tile | Bundle = parse_place(f"tile/{path}")
        except ProvenanceError as error:
            raise PLATFORM_NOT_FOUND.problem(path=path[:80]) from error
        raw = await shown.log.read(place)
        if raw is None:
            raise PLATFORM_NOT_FOUND.problem(path=path[:80])
        return Octets(raw, headers={"cache-control": IMMUTABLE})

    return router


def proof_routes(shown: Shown) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["proofs"])

    @router.get(
        "/proofs/{event_id}", dependencies=[PUBLIC], response_class=PlainTextResponse,
        responses=problems(PLATFORM_NOT_FOUND, PLATFORM_MALFORMED, LEDGER_NOT_YET_PUBLISHED),
    )  # fmt: skip
    async def proof(event_id: str) -> Response:
        """The C2SP tlog-proof of an event's entry. Says nothing of its record."""
        try:
            raw = bytes.fromhex(event_id)
        except ValueError:
            raw = b""
        if len(event_id) != EVENT_HEX or len(raw) * 2 != EVENT_HEX:
            raise PLATFORM_MALFORMED.problem(pointer="{event_id}", detail="16 bytes in hexadecimal are expected")
        try:
            _, found = await prove_event(raw, shown.log, shown.newest.agreed)
        except Problem as problem:
            shown.proofs.count(problem)
            raise
        shown.proofs.count(None)
        return Response(found.encode(), media_type=TEXT)

    @router.post("/bundles", responses=problems(PLATFORM_NOT_FOUND, PLATFORM_INVALID_FIELD, LEDGER_NOT_YET_PUBLISHED))
    async def bundle(body: BundleBody, caller: Caller) -> Response:
        """A proof bundle: an owner's grant; rounds, models, agreements for parties; a payout for its payee, too."""
        try:
            async with shown.records() as records:
                claim = await find_claim(body.kind, body.id, caller.did, records)
            raw = await make_bundle(claim, shown.log, shown.newest, shown.clock.now_us() // 1_000_000)
        except Problem as problem:
            shown.proofs.count(problem)
            raise
        shown.proofs.count(None)
        return Response(raw, media_type=JSON)

    @router.get("/policy", dependencies=[PUBLIC], response_class=PlainTextResponse)
    async def policy() -> Response:
        """Whose checkpoints count here: the first of the two files that a verifier saves and then trusts."""
        return Response(shown.policy, media_type=TEXT)

    @router.get("/orgs", dependencies=[PUBLIC])
    async def orgs() -> Response:
        """The organisations of this house and of its agreements: the second file. Compare it out of band once."""
        async with shown.records() as records:
            found = orgs_file(shown.operator, await records.organisations())
        return Response(found, media_type=JSON)

    return router
