"""One gRPC server for the services of a process: default deny, health, reflection."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from didymos_kit.access import Access, Guard
from didymos_kit.rpc.interceptors import Edge, Method
from didymos_kit.rpc.status import MESSAGE_BYTES
from didymos_kit.service import Service
from didymos_kit.telemetry.metrics import Metrics

OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),  # two processes on one port would share calls by chance
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class RpcSurfaceError(TypeError):
    """A method that may not start."""


class RpcServer:
    """Made of all services; listens after `start`."""

    def __init__(self, services: Sequence[Service], access: Access | None, metrics: Metrics) -> None:
        owners, self.names = _registered(services)
        guards = {} if access is None else {service.name: Guard(service.name, access) for service in services}
        self._methods = _methods(services, owners, guards)
        self._edge = Edge(self._methods, guards, metrics)
        self._server = grpc.aio.server(interceptors=(self._edge,), options=OPTIONS)
        for service in services:
            for register in service.servicers:
                register(self._server)
        self._health = HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        shown = (*self.names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(shown, self._server)

    @property
    def methods(self) -> Mapping[str, Method]:
        """Every method by its path: the generated matrix of refusals goes over them."""
        return self._methods

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, chosen by the system when `port` is 0. Raises OSError when it is taken."""
        try:
            bound: int = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise OSError(f"cannot listen on {host}:{port}") from error
        await self._server.start()
        return bound

    async def set_serving(self, *, serving: bool) -> None:
        """What the gRPC health service says of the process and of each service in it."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *self.names):
            await self._health.set(name, status)

    async def stop(self, grace_seconds: float, stream_seconds: float) -> None:
        """No new calls; those in hand have `grace_seconds` to end, streams `stream_seconds`."""
        self._edge.drain(stream_seconds)
        await self._server.stop(grace_seconds)


class _Recorder:
    """Stands in for the server while services register, to learn which methods are whose."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def add_generic_rpc_handlers(self, _handlers: Sequence[Any]) -> None:
        """The generated code calls both; the other one names the methods."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        self.found[service] = [f"/{service}/{method}" for method in handlers]


def _registered(services: Sequence[Service]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Method path to the name of its service, and the full names of the gRPC services."""
    owners: dict[str, str] = {}
    names: list[str] = []
    for service in services:
        recorder = _Recorder()
        for register in service.servicers:
            register(cast("grpc.aio.Server", recorder))
        for name, paths in recorder.found.items():
            if name in names:
                raise RpcSurfaceError(f"{name} is registered twice")
            names.append(name)
            owners.update(dict.fromkeys(paths, service.name))
    return owners, tuple(names)


def _methods(services: Sequence[Service], owners: Mapping[str, str], guards: Mapping[str, Guard]) -> dict[str, Method]:
    public = {path for service in services for path in service.public_rpcs}
    unknown = sorted(public - set(owners))
    if unknown:
        raise RpcSurfaceError(f"public_rpcs name methods that nobody registers: {unknown}")
    guarded = sorted(path for path in owners if path not in public)
    if guarded and not guards:
        raise RpcSurfaceError(f"the process was given no Access for {guarded}")
    return {path: Method(path, name, None if path in public else guards[name]) for path, name in owners.items()}
