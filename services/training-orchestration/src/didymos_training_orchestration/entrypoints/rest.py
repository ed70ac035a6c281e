"""REST of runs and models. Every POST may carry an `Idempotency-Key`. learning.md section 13."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from didymos_contracts.errors import training as rows
from didymos_contracts.errors.platform import (
    PLATFORM_IDEMPOTENCY_BUSY,
    PLATFORM_IDEMPOTENCY_MISMATCH,
    PLATFORM_NOT_FOUND,
)
from didymos_did import Did, Purpose, jcs
from didymos_kit.clock import Clock
from didymos_kit.dispatch import TOKEN, Dispatcher
from didymos_kit.http.body import accepts
from didymos_kit.http.idempotency import Answers, idempotent
from didymos_kit.http.live import Closing, Event, live
from didymos_kit.http.paging import CursorQuery, Cursors, Limit
from didymos_kit.http.principal import Caller, authenticate
from didymos_kit.http.problems import problems
from didymos_kit.ids import Ids
from didymos_learning import BySum, RunSpec
from didymos_learning import strategies as installed
from didymos_learning.export import MEDIA_TYPE
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from didymos_training_orchestration.adapters.exports import Format, exported
from didymos_training_orchestration.application import read_runs
from didymos_training_orchestration.application.create_run import CreateRun, create_run
from didymos_training_orchestration.application.ports import Agreements, Clients, Consent, Units, Work
from didymos_training_orchestration.application.results import Offer
from didymos_training_orchestration.application.start_run import cancel_run, pause_run, resume_run, start_run
from didymos_training_orchestration.domain.model import ModelId, ModelKind
from didymos_training_orchestration.domain.run import ENDED, ClientsKind, Run, RunId, Terms
from didymos_training_orchestration.entrypoints import shapes

HIDDEN = problems(PLATFORM_NOT_FOUND)
EXPORTS = problems(
    PLATFORM_NOT_FOUND, rows.TRAINING_EXPORT_UNSUPPORTED, rows.TRAINING_ARCHITECTURE_UNKNOWN,
    rows.TRAINING_UPDATE_NOT_FINITE,
)  # fmt: skip
MAKES = problems(
    rows.TRAINING_SPEC_MALFORMED, rows.TRAINING_ARCHITECTURE_UNKNOWN, rows.TRAINING_STRATEGY_UNKNOWN,
    rows.TRAINING_STRATEGY_NEEDS_INDIVIDUAL, rows.TRAINING_STRATEGY_NOT_MASKED, rows.TRAINING_LAYOUT_MISMATCHED,
    rows.TRAINING_AGREEMENT_NOT_FINAL,
    rows.TRAINING_AGREEMENT_MISMATCHED, rows.TRAINING_RUN_STATE, PLATFORM_NOT_FOUND, PLATFORM_IDEMPOTENCY_BUSY,
    PLATFORM_IDEMPOTENCY_MISMATCH,
)  # fmt: skip
MOVES = problems(
    rows.TRAINING_RUN_STATE, rows.TRAINING_COHORT_TOO_SMALL, rows.TRAINING_BUDGET_EXHAUSTED, rows.TRAINING_LEASE_LOST,
    PLATFORM_NOT_FOUND, PLATFORM_IDEMPOTENCY_BUSY, PLATFORM_IDEMPOTENCY_MISMATCH,
)  # fmt: skip
OWN = "urn:didymos:own-data"  # purpose of a run over simulated clients: no owner is asked


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes work with. `clients`: of this process, by kind; a role without them has none."""

    dispatch: Dispatcher[Work]
    units: Units
    agreements: Agreements
    clients: dict[ClientsKind, Clients]
    consent: Consent
    owner_of: Callable[[Any], Did | None]
    attending: Callable[[], dict[str, shapes.Json]]
    answers: Answers
    cursors: Cursors
    clock: Clock
    ids: Ids
    wait: Callable[[str | None], Awaitable[None]]
    pause: Callable[[float], Awaitable[None]]
    stored: Callable[[bytes], Awaitable[bytes | None]]
    poll_seconds: float

    async def write(
        self, request: Request, caller: Did, use_case: Callable[[], Awaitable[Callable[[Work], Awaitable[Run]]]],
        status: int = 200,
    ) -> Response:  # fmt: skip
        """One transaction, answered once under its `Idempotency-Key`; waits for what a Consistency-Token names."""

        async def work() -> Response:
            await self.wait(request.headers.get(TOKEN))
            done = await self.dispatch(await use_case())
            headers = {TOKEN: done.token} if done.token else {}
            return JSONResponse(shapes.shown_run(done.value), status if done.placed else 202, headers)

        return await idempotent(request, caller, self.answers, self.clock, work)

    async def offer(self, name: RunId, buyer: Did) -> Offer | None:
        run = await self.units(lambda work: read_runs.read_run(name, buyer, work))
        clients = self.clients.get(run.clients)
        return None if clients is None else await clients.offered(run.spec)


def routes(desk: Desk) -> tuple[APIRouter, ...]:
    return runs(desk), moves(desk), details(desk), models(desk), catalogue(desk)


def runs(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/runs", tags=["runs"])

    @router.post("", status_code=201, responses=MAKES)
    @accepts(limit=shapes.SPEC_BYTES, floats=True)
    async def make(body: shapes.NewRun, caller: Caller, request: Request) -> Response:
        """Make a run under a final agreement of which the caller is the buyer; a draft until it is started."""
        spec = RunSpec.from_json(jcs(body.spec))
        wanted = CreateRun(caller.did, spec, body.clients)

        async def use_case() -> Callable[[Work], Awaitable[Run]]:
            if body.clients == "simulated":
                terms = Terms("", caller.did, caller.did, Purpose(OWN))
            else:
                terms = await desk.agreements.final(body.agreement, body.purpose)
            return lambda work: create_run(wanted, terms, work, desk.clock, desk.ids)

        return await desk.write(request, caller.did, use_case, 201)

    @router.get("")
    async def browse(caller: Caller, limit: Limit = 50, cursor: CursorQuery = None) -> shapes.Json:
        """The caller's runs, newest first."""
        query = {"caller": caller.did}
        after = desk.cursors.read(cursor, query)
        before = None if after is None else RunId(str(after[0]))
        found = await desk.units(lambda work: work.runs.of(caller.did, before, limit + 1))
        page = desk.cursors.page(found, limit, lambda run: (run.id,), query)
        return {"runs": [shapes.shown_run(run) for run in page.rows], "next": page.next}

    @router.get("/{run}", responses=HIDDEN)
    async def show(run: str, caller: Caller) -> shapes.Json:
        """Where it stands."""
        return shapes.shown_run(await desk.units(lambda work: read_runs.read_run(RunId(run), caller.did, work)))

    return router


def moves(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/runs", tags=["runs"])

    @router.post("/{run}/start", responses=MOVES)
    async def start(run: str, caller: Caller, request: Request) -> Response:
        """Let it run, if a cohort is there that the owners' grants allow."""

        async def use_case() -> Callable[[Work], Awaitable[Run]]:
            offer = await desk.offer(RunId(run), caller.did)
            return lambda work: start_run(RunId(run), caller.did, offer, desk.consent, work, desk.clock)

        return await desk.write(request, caller.did, use_case)

    async def moving(request: Request, caller: Did, how: Callable[[Work], Awaitable[Run]]) -> Response:
        async def use_case() -> Callable[[Work], Awaitable[Run]]:
            return how

        return await desk.write(request, caller, use_case)

    @router.post("/{run}/pause", responses=MOVES)
    async def pause(run: str, caller: Caller, request: Request) -> Response:
        """Stop after what is in flight; its round goes on when the run is resumed."""
        return await moving(request, caller.did, lambda work: pause_run(RunId(run), caller.did, work))

    @router.post("/{run}/resume", responses=MOVES)
    async def resume(run: str, caller: Caller, request: Request) -> Response:
        """Go on."""
        return await moving(request, caller.did, lambda work: resume_run(RunId(run), caller.did, work))

    @router.post("/{run}/cancel", responses=MOVES)
    async def cancel(run: str, caller: Caller, request: Request) -> Response:
        """End it for good; a round in flight is aborted."""
        return await moving(request, caller.did, lambda work: cancel_run(RunId(run), caller.did, work))

    return router


def details(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/runs", tags=["runs"])

    @router.get("/{run}/rounds", responses=HIDDEN)
    async def rounds(run: str, caller: Caller) -> shapes.Json:
        """Every round with what became of its members. Digests, never vectors."""
        found = await desk.units(lambda work: read_runs.read_rounds(RunId(run), caller.did, work))
        return {
            "rounds": [shapes.shown_round(each, found.outcomes[each.number], found.together) for each in found.rounds]
        }

    @router.get("/{run}/evaluation", responses=HIDDEN)
    async def evaluation(run: str, caller: Caller) -> shapes.Json:
        """The errors of each subject's models, from the sites' own reports; the held-out loss by round; and the errors
        that sites told together, under masks."""
        found = await desk.units(lambda work: read_runs.read_evaluation(RunId(run), caller.did, work))
        return shapes.shown_evaluation(found.reports, found.judgement, found.together)

    @router.get("/{run}/events", responses=HIDDEN, response_class=StreamingResponse)
    async def events(run: str, caller: Caller, request: Request) -> Response:
        """Each change of the run, live."""
        name, party = RunId(run), caller.did
        await desk.units(lambda work: read_runs.read_run(name, party, work))
        return live(request, _changes(desk, name, party), Closing(), caller)

    return router


async def _changes(desk: Desk, name: RunId, party: Did) -> AsyncIterator[Event]:
    """The run whenever its revision grew, until it ended."""
    seen = 0
    while True:
        run = await desk.units(lambda work: read_runs.read_run(name, party, work))
        if run.revision != seen:
            seen = run.revision
            yield Event(str(seen), "run", jcs(shapes.shown_run(run)).decode())
        if run.state in ENDED:
            return
        await desk.pause(desk.poll_seconds)


def models(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/models", tags=["models"])

    @router.get("", responses=HIDDEN)
    async def browse(run: str, caller: Caller) -> shapes.Json:
        """The models of a run."""
        found = await desk.units(lambda work: read_runs.read_models(RunId(run), caller.did, work))
        return {"models": [shapes.shown_model(model) for model in found]}

    async def lineage(name: str, party: Did) -> read_runs.Lineage:
        async def read(work: Work) -> read_runs.Lineage:
            model = await work.registry.find(ModelId(name))
            owner = None if model is None or model.twin is None else desk.owner_of(model.twin)
            return await read_runs.read_model(ModelId(name), party, owner, work)

        return await desk.units(read)

    @router.get("/{model}", responses=HIDDEN)
    async def show(model: str, caller: Caller) -> shapes.Json:
        """One model."""
        return shapes.shown_model((await lineage(model, caller.did)).model)

    @router.get("/{model}/lineage", responses=HIDDEN)
    async def parents(model: str, caller: Caller) -> shapes.Json:
        """What it was made from, and what was made from it."""
        found = await lineage(model, caller.did)
        return shapes.shown_lineage(found.model, found.parents, found.children)

    @router.get("/{model}/card", responses=HIDDEN)
    async def card(model: str, caller: Caller) -> shapes.Json:
        """All that is said of it: data, errors, privacy, limits."""
        return shapes.card_of((await lineage(model, caller.did)).model)

    @router.get("/{model}/export", responses=EXPORTS, response_class=Response)
    async def export(model: str, caller: Caller, format: Format = "safetensors") -> Response:
        """The parameters of a shared model: tensors by slot, or a graph that other runtimes execute (ONNX).

        One twin's model is sealed to the forecaster and leaves only to be served.
        """
        found = (await lineage(model, caller.did)).model
        run = await desk.units(lambda work: work.runs.find(found.run))
        if found.kind is ModelKind.PERSONAL:
            raise rows.TRAINING_EXPORT_UNSUPPORTED.problem(
                model=model, detail="one twin's model is sealed to the forecaster: it is served, and never exported"
            )
        raw = await desk.stored(found.params)
        if raw is None or run is None:
            raise PLATFORM_NOT_FOUND.problem(model=model, detail="its parameters are not here to be read")
        return Response(await exported(found, run, raw, format), media_type=MEDIA_TYPE)

    return router


def catalogue(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1", dependencies=[Depends(authenticate)])

    @router.get("/sites")
    async def sites() -> shapes.Json:
        """Sites that are dialled in at this process: how many subjects they offer, and for which task."""
        return {"sites": [{"site": site, **said} for site, said in desk.attending().items()]}

    @router.get("/strategies")
    async def strategies() -> shapes.Json:
        """The strategies that a specification may name."""
        said = [
            {
                "name": one.name,
                "needs": "sum" if isinstance(one, BySum) else "individual",
                "settings": dict(one.defaults),
            }
            for one in installed().values()
        ]
        return {"strategies": said}

    return router
