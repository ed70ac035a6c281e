"""A service's routes as one ASGI app: default deny, strict input, its OpenAPI document."""

from collections.abc import Iterator
from typing import Any, Final

from didymos_contracts.errors.platform import PLATFORM_INTERNAL, PLATFORM_INVALID_FIELD, PLATFORM_UNKNOWN_FIELD
from didymos_contracts.metrics import HTTP_STREAMS
from fastapi import Depends, FastAPI
from fastapi.dependencies.utils import get_flat_params
from fastapi.openapi.utils import get_openapi
from fastapi.params import Query
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import TypeAdapter

from didymos_kit.access import Access, Guard
from didymos_kit.http.body import Shape, shape_of, strict_input
from didymos_kit.http.edge import Edge
from didymos_kit.http.principal import authenticates, is_decided
from didymos_kit.http.problems import MEDIA, PROBLEM_SCHEMA, install, problems
from didymos_kit.service import Service, Stopping
from didymos_kit.telemetry.metrics import Metrics, service_label

_GENERIC: Final = ("HTTPValidationError", "ValidationError")
_REFUSED: Final = problems(PLATFORM_UNKNOWN_FIELD, PLATFORM_INVALID_FIELD)[422]


class SurfaceError(TypeError):
    """A route that may not start: found when the app is made, so in the first test that makes it."""


def surface(
    service: Service, access: Access | None, *, draining: Stopping, metrics: Metrics, version: str = "1"
) -> FastAPI:
    """The REST app of `service`, to be mounted at `/<name>`; its document is `/openapi.json`. Raises SurfaceError."""
    app = FastAPI(
        title=f"Didymos {service.name}", version=version, openapi_url="/openapi.json", docs_url=None, redoc_url=None,
        dependencies=[Depends(strict_input)], redirect_slashes=False,
    )  # fmt: skip
    for router in service.routers:
        app.include_router(router)
    guard = None if access is None else Guard(service.name, access)
    app.state.shapes = _shapes(app, service.name, guarded=guard is not None)
    app.state.draining, app.state.guard = draining, guard
    app.state.streams = metrics.gauge(HTTP_STREAMS, service=service_label(service.name))
    install(app)
    app.add_middleware(Edge, service=service.name, guard=guard, metrics=metrics)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign] # the framework's own way to extend it
    return app


def _shapes(app: FastAPI, name: str, *, guarded: bool) -> dict[int, Shape]:
    """What each route takes, by the identity of the route. Raises SurfaceError for one that nobody decided about."""
    shapes = {}
    for found in iter_route_contexts(app.routes):
        if not isinstance(found.original_route, APIRoute):
            continue
        where = f"{name}: {'/'.join(sorted(found.methods or ()))} {found.path}"
        if not is_decided(found.dependant):
            raise SurfaceError(f"{where} neither takes a Caller nor is marked PUBLIC")
        if authenticates(found.dependant) and not guarded:
            raise SurfaceError(f"{where} takes a Caller, and the process was given no Access")
        if found.body_field is not None:
            _check_body(where, found.body_field.field_info.annotation)
        flat = get_flat_params(found.dependant)
        query = frozenset(field.alias for field in flat if isinstance(field.field_info, Query))
        shapes[id(found.original_route)] = shape_of(found.endpoint, query, json_body=found.body_field is not None)
    return shapes


def _check_body(where: str, annotation: Any) -> None:  # noqa: ANN401 - whatever a route declares
    """Every object with named members must refuse others: a misspelt member would be dropped in silence."""
    for schema in _objects(TypeAdapter[Any](annotation).json_schema()):
        if schema.get("additionalProperties") is not False:
            raise SurfaceError(f"{where}: body {schema.get('title', '')} lets unknown members pass; use Strict")


def _objects(schema: object) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            yield schema
        for inner in schema.values():
            yield from _objects(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _objects(inner)


def _document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 with our problems instead of the framework's own validation error. Made once."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    made = get_openapi(title=app.title, version=app.version, openapi_version="3.1.0", routes=app.routes)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for name in _GENERIC:
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    for operations in made["paths"].values():
        for operation in operations.values():
            answers = operation["responses"]
            if "422" in answers and MEDIA not in answers["422"].get("content", {}):
                answers["422"] = _REFUSED
            answers["default"] = problems(PLATFORM_INTERNAL)[500] | {"description": "Any other problem"}
            answers["default"]["content"] = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    app.openapi_schema = made
    return made
