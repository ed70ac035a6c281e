"""Who calls a REST route: `caller: Caller` in its signature, or `dependencies=[PUBLIC]`. Else it does not start."""

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.params import Depends as DependsParameter

from didymos_kit.access import Credentials, Guard, Principal


async def authenticate(request: Request) -> Principal:
    """Who calls this route. Raises PLATFORM_UNAUTHENTICATED, AUTH_*."""
    guard: Guard = request.app.state.guard
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    url = guard.origin + raw.partition(b"?")[0].decode("ascii")
    given = Credentials(request.headers.getlist("authorization"), request.headers.getlist("dpop"))
    return await guard.admit(given, request.method, url)


async def public() -> None:
    """Marks a route that answers without a token: it checks a signature of its own, or tells nothing personal."""


Caller = Annotated[Principal, Depends(authenticate)]
PUBLIC: DependsParameter = Depends(public)


def is_decided(dependant: Any) -> bool:  # noqa: ANN401 - the framework's dependency tree
    """Whether a route either authenticates or says that it does not."""
    return dependant.call is public or authenticates(dependant) or any(map(is_decided, dependant.dependencies))


def authenticates(dependant: Any) -> bool:  # noqa: ANN401 - the framework's dependency tree
    """Whether a route asks who calls."""
    return dependant.call is authenticate or any(map(authenticates, dependant.dependencies))
