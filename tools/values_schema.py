"""charts/didymos/values.schema.json, closed, from the models below; `make chart-generate` writes it.

What a value may be by itself stands here; what contradicts another value is refused by templates/_validate.tpl. Names
of settings under `env` come from the settings classes of the services, less those that the chart sets itself.
"""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from didymos_kit.house_settings import HouseSettings
from didymos_kit.settings import FILE, PREFIX, Settings, names
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, StringConstraints, WithJsonSchema

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "charts/didymos/values.schema.json"
SET_BY_THE_CHART: Final = frozenset(
    PREFIX + name
    for name in (
        "KAFKA_URL", "KAFKA_REPLICAS", "POSTGRES_URL", "POSTGRES_PASSWORD", "REDIS_URL", "REDIS_PASSWORD", "FILES",
        "ORIGIN", "SECRET", "MEMBER", "HOST", "REST_PORT", "GRPC_PORT", "ADMIN_PORT", "PEERS", "MIGRATE",
        "DRAIN_SECONDS", "TRAINING_ORCHESTRATION__SIMULATION__RAY_ADDRESS", "LOG_LEVEL", "TRACE_RATIO", "OTLP_ENDPOINT",
    )
)  # fmt: skip

Free: TypeAlias = dict[str, Any]  # as Kubernetes has it
Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$")]
Quantity: TypeAlias = Annotated[
    Any, WithJsonSchema({"type": ["string", "number"], "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"})
]
Url: TypeAlias = Annotated[str, StringConstraints(pattern=r"^(https?://[^/ ]+)?/?$")]
Did: TypeAlias = Annotated[str, StringConstraints(pattern=r"^(did:key:z[1-9A-HJ-NP-Za-km-z]{40,60})?$")]
Cidr: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")]
Port: TypeAlias = Annotated[int, Field(ge=1, le=65535)]
NodePort: TypeAlias = Annotated[int, Field(ge=0, le=65535)]


class Closed(BaseModel):
    """No key but these."""

    model_config = ConfigDict(extra="forbid")


class Organisation(Closed):
    name: str
    did: Did = ""


class Witness(Closed):
    key: Annotated[str, StringConstraints(min_length=1)]
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]


class Peer(Closed):
    name: str
    did: Did = ""
    logKey: str = ""  # noqa: N815 - keys of values are written this way
    witness: Witness | None = None
    cidr: Cidr | Literal[""] = ""
    ports: list[Port] = []


class Images(Closed):
    registry: str
    repository: str
    tag: str
    backendTag: Annotated[str, StringConstraints(min_length=1)]  # noqa: N815
    pullPolicy: Literal["Always", "IfNotPresent", "Never"]  # noqa: N815
    pullSecrets: list[str]  # noqa: N815


class Secrets(Closed):
    existing: str


class Files(Closed):
    existingClaim: str  # noqa: N815
    accessMode: Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"]  # noqa: N815
    storageClass: str  # noqa: N815
    size: Quantity


class Amounts(Closed):
    cpu: Quantity = "0"
    memory: Quantity = "0"


class Resources(Closed):
    requests: Amounts
    limits: Amounts | None = None


class Jobs(Closed):
    enabled: bool
    resources: Resources


class Development(Closed):
    sync: bool


class Monitoring(Closed):
    enabled: bool
    labels: dict[str, str]
    interval: str
    dashboards: bool


class Collector(Closed):
    to: list[Free]
    port: Port


class NetworkPolicy(Closed):
    enabled: bool
    monitoring: list[Free]
    callers: list[Free]
    gateway: list[Free]
    keda: list[Free]
    collector: Collector


class Telemetry(Closed):
    logLevel: Literal["DEBUG", "INFO", "WARNING", "ERROR"]  # noqa: N815
    traceRatio: Annotated[float, Field(ge=0, le=1)]  # noqa: N815
    otlpEndpoint: str  # noqa: N815


class Routes(Closed):
    rest: list[Annotated[str, StringConstraints(pattern=r"^/")]] = []
    patterns: list[Annotated[str, StringConstraints(pattern=r"^\^/")]] = []
    grpc: list[Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9_.]*(/[A-Za-z]*)?$")]] = []


class Storage(Closed):
    path: str = ""
    size: Quantity = "1Gi"


class Scaling(Closed):
    mode: Literal["fixed", "hpa", "keda"] = "fixed"
    min: PositiveInt = 1
    max: PositiveInt = 1
    cpuPercent: Annotated[int, Field(ge=1, le=100)] = 70  # noqa: N815
    topic: str = ""
    group: str = ""
    lagPerPod: PositiveInt = 1  # noqa: N815
    downSeconds: NonNegativeInt = 600  # noqa: N815


class Placed(Closed):
    nodeSelector: dict[str, str] = {}  # noqa: N815
    tolerations: list[Free] = []
    affinity: Free = {}
    priorityClassName: str = ""  # noqa: N815


class Dialled(Closed):
    cidr: Cidr
    ports: Annotated[list[Port], Field(min_length=1)]


class Role(Placed):
    """Of a process: every key may be left to `defaults`."""

    enabled: bool = True
    kind: Literal["Deployment", "StatefulSet"] = "Deployment"
    primary: bool = False
    replicas: NonNegativeInt = 1
    image: str = ""
    imageReference: str = ""  # noqa: N815
    resources: Resources | None = None
    env: dict[str, str | int | float | bool] = {}
    routes: Routes = Routes()
    storage: Storage | None = None
    files: bool = False
    ray: bool = False
    dials: list[Dialled] = []
    secretFiles: list[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]] = []  # noqa: N815
    scaling: Scaling = Scaling()
    scratch: Quantity = "0"
    terminationGracePeriodSeconds: Annotated[int, Field(ge=45)] = 45  # noqa: N815
    podAnnotations: dict[str, str] = {}  # noqa: N815


class Service(Closed):
    calls: list[Name] = []
    roles: dict[Name, Role]


class GatewayService(Closed):
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"]
    restNodePort: NodePort  # noqa: N815
    grpcNodePort: NodePort  # noqa: N815
    annotations: dict[str, str]


class Parent(Closed):
    name: str
    namespace: str = ""
    sectionName: str = ""  # noqa: N815


class Gateway(Placed):
    kind: Literal["embedded", "httproute", "off"]
    replicas: PositiveInt
    workers: PositiveInt
    maxBody: Annotated[str, StringConstraints(pattern=r"^[0-9]+[kmg]?$")]  # noqa: N815
    imageReference: str  # noqa: N815
    resources: Resources
    service: GatewayService
    parents: list[Parent]


class External(Closed):
    ports: list[Port]
    cidrs: list[Cidr]


class ExternalKafka(External):
    url: Annotated[str, StringConstraints(pattern=r"^(kafka://[^/,: ]+:[0-9]+(,[^/,: ]+:[0-9]+)*)?$")]


class ExternalPostgres(External):
    url: Annotated[str, StringConstraints(pattern=r"^(postgresql://[^:@/ ]+@[^/ ]+/[^ ]+)?$")]


class ExternalRedis(External):
    url: Annotated[str, StringConstraints(pattern=r"^(rediss?://[^@ ]+)?$")]


class InChart(Placed):
    imageReference: str  # noqa: N815
    resources: Resources


class EmbeddedKafka(InChart):
    brokers: Literal[1, 3]
    jars: str
    heap: Annotated[str, StringConstraints(pattern=r"^[0-9]+[mg]$")]
    threads: PositiveInt
    internalPartitions: PositiveInt  # noqa: N815
    size: Quantity


class EmbeddedPostgres(InChart):
    maxConnections: PositiveInt  # noqa: N815
    sharedBuffers: str  # noqa: N815
    size: Quantity


class EmbeddedRedis(InChart):
    maxMemory: Annotated[str, StringConstraints(pattern=r"^[0-9]+(kb|mb|gb)$")]  # noqa: N815


Kind: TypeAlias = Literal["embedded", "external"]


class Kafka(Closed):
    kind: Kind
    strimziCluster: str  # noqa: N815
    replication: Annotated[int, Field(ge=1, le=5)]
    external: ExternalKafka
    embedded: EmbeddedKafka


class Postgres(Closed):
    kind: Kind
    external: ExternalPostgres
    embedded: EmbeddedPostgres


class Redis(Closed):
    kind: Kind
    external: ExternalRedis
    embedded: EmbeddedRedis


class Backends(Closed):
    kafka: Kafka
    postgresql: Postgres
    redis: Redis


class ExternalRay(Closed):
    address: str


class EmbeddedRay(InChart):
    workers: NonNegativeInt
    cpus: PositiveInt
    objectStoreBytes: Annotated[int, Field(ge=78643200)]  # noqa: N815 - the least that Ray takes
    sharedMemory: Quantity  # noqa: N815


class Ray(Closed):
    kind: Literal["off", "embedded", "external"]
    external: ExternalRay
    embedded: EmbeddedRay


class Values(Closed):
    organisation: Organisation
    origin: Url
    peers: list[Peer]
    images: Images
    secrets: Secrets
    storageClass: str  # noqa: N815
    files: Files
    drainSeconds: Annotated[float, Field(ge=0, le=25)]  # noqa: N815
    jobs: Jobs
    development: Development
    monitoring: Monitoring
    networkPolicy: NetworkPolicy  # noqa: N815
    telemetry: Telemetry
    defaults: Role
    services: dict[Name, Service]
    gateway: Gateway
    backends: Backends
    ray: Ray


def settings_classes() -> Iterator[type[Settings]]:
    """Of every service of this tree."""
    yield HouseSettings
    for path in sorted((ROOT / "services").glob("*/src/*/settings.py")):
        module = importlib.import_module(f"{path.parent.name}.settings")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Settings) and value.__module__ == module.__name__:
                yield value


def schema() -> dict[str, Any]:
    made: dict[str, Any] = Values.model_json_schema()
    known = {name for each in settings_classes() for name in names(each)} - SET_BY_THE_CHART
    spelt = sorted(known | {name + FILE for name in known})
    made["$defs"]["Role"]["properties"]["env"]["propertyNames"] = {"enum": spelt}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **_plain(made)}


def _plain(node: Any) -> Any:  # noqa: ANN401 - JSON
    """Without titles and defaults: values.yaml has those, and draft 7 wants nothing beside a reference."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    kept = {key: value for key, value in node.items() if key not in ("title", "default", "description")}
    for key in ("properties", "$defs"):
        if key in node:
            kept[key] = {name: _plain(value) for name, value in node[key].items()}
    return {key: value if key in ("properties", "$defs") else _plain(value) for key, value in kept.items()}


def text() -> str:
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"
