"""Live and ready. platform.md 5: live asks no dependency, ready asks no other service."""

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic
from types import MappingProxyType
from typing import Final

from didymos_contracts.errors import Problem
from didymos_contracts.metrics import PROCESS_LOOP_LATE_SECONDS, PROCESS_READY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from didymos_kit.service import Check, Service, Stopping
from didymos_kit.telemetry.metrics import CONTENT_TYPE, Metrics
from didymos_kit.telemetry.status import as_page, status_of

CHECK_SECONDS: Final = 1.0
TICK_SECONDS: Final = 1.0
STUCK_SECONDS: Final = 30.0
_NO_CHECKS: Final[Mapping[str, Check]] = MappingProxyType({})


class Health:
    """What a process says of itself to whoever schedules it."""

    def __init__(self, metrics: Metrics) -> None:
        self._gauge = metrics.gauge(PROCESS_READY)
        self._late = metrics.histogram(PROCESS_LOOP_LATE_SECONDS)
        self._checks: tuple[tuple[str, Check], ...] = ()
        self._serving = False
        self._waits = "starting or draining"
        self._died: str | None = None
        self._ticked = monotonic()

    def watch(self, services: Sequence[Service], shared: Mapping[str, Check] = _NO_CHECKS) -> None:
        """From now on the checks of these services, and of what they share, decide readiness."""
        of_services = ((service.name, check) for service in services for check in service.checks)
        self._checks = (*shared.items(), *of_services)

    def waits(self, why: str) -> None:
        """The start waits for something: it will be tried again."""
        self._waits = why

    def serve(self, *, serving: bool) -> None:
        """Whether the process takes calls: from the end of its start to the beginning of its drain."""
        self._serving, self._waits = serving, "starting or draining"

    def died(self, why: str) -> None:
        """A loop ended that should not have: the process is no longer live."""
        self._died = why

    async def tick(self, stopping: Stopping) -> None:
        """Show that the event loop turns, until the process stops."""
        while not await stopping.within(TICK_SECONDS):
            before, self._ticked = self._ticked, monotonic()
            self._late.observe(max(0.0, self._ticked - before - TICK_SECONDS))

    def not_live(self) -> str | None:
        """Why the process should be restarted, or None."""
        if self._died is not None:
            return self._died
        silent = monotonic() - self._ticked
        return f"the event loop stood for {silent:.0f} s" if silent > STUCK_SECONDS else None

    async def not_ready(self) -> Mapping[str, str]:
        """Service to reason, for whatever is not ready. Empty: ready."""
        if not self._serving:
            self._gauge.set(0)
            return {"process": self._waits}
        answers = await asyncio.gather(*(_ask(check) for _, check in self._checks))
        found: dict[str, str] = {}
        for (name, _), said in zip(self._checks, answers, strict=True):
            if said is not None and said not in found.get(name, ""):
                found[name] = f"{found[name]}; {said}" if name in found else said
        self._gauge.set(0 if found else 1)
        return found


async def _ask(check: Check) -> str | None:
    """The answer of a check; one that fails or takes too long is not ready."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:.0f} s"
    except Problem as problem:
        return str(problem)
    except Exception as error:
        return type(error).__name__  # whatever a check raises means: not ready


def admin_app(health: Health, metrics: Metrics) -> Starlette:
    """Probes, metrics and the status page, on a port of their own that nothing routes to from outside."""

    async def live(_: Request) -> Response:
        why = health.not_live()
        return JSONResponse({"live": why is None, "reason": why}, 200 if why is None else 503)

    async def ready(_: Request) -> Response:
        found = await health.not_ready()
        return JSONResponse({"ready": not found, "reasons": dict(found)}, 503 if found else 200)

    async def exposed(_: Request) -> Response:
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)

    async def status(request: Request) -> Response:
        found, said = await health.not_ready(), status_of(metrics)
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(as_page(said, found))
        return JSONResponse({"ready": not found, "reasons": dict(found), "areas": said})

    paths = {"/healthz/live": live, "/healthz/ready": ready, "/metrics": exposed, "/status": status}
    return Starlette(routes=[Route(path, answer) for path, answer in paths.items()])
