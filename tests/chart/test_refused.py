"""A misspelt or contradictory value is refused before anything is made, with a sentence that says what to do."""

import re
from typing import Any

import pytest

from tests.chart.rendering import SMALL
from tools.chart_tools import CHART, HelmError, render

URLS = {
    "kafka": "kafka://k.example.org:9092",
    "postgresql": "postgresql://didymos@p.example.org:5432/didymos",
    "redis": "redis://r.example.org:6379/0",
}


def role(service: str, **values: Any) -> dict[str, Any]:
    return {"services": {service: {"roles": {"all": values}}}}


def backend(name: str, **values: Any) -> dict[str, Any]:
    return {"backends": {name: values}}


def worker(**scaling: Any) -> dict[str, Any]:
    return {"services": {"twin-state": {"roles": {"worker": {"scaling": {"mode": "keda", **scaling}}}}}}


CLINIC = "did:key:z6Mkpo4S8UsnXqFauhE5qf5tAp6vjS2Z2dsRr1yNBmTaWqoN"
KEDA = ("--api-versions", "keda.sh/v1alpha1")
ROUTES = ("--api-versions", "gateway.networking.k8s.io/v1")
PARENT = {"name": "public"}
NODE_PORTS = {"type": "ClusterIP", "restNodePort": 0, "grpcNodePort": 0}

CONTRADICTIONS: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    (backend("kafka", kind="external"), (), ".external.url is needed"),
    (backend("redis", external={"url": URLS["redis"]}), (), "nothing would use that address"),
    (backend("postgresql", kind="external", external={"url": URLS["postgresql"]}), (), "name a Secret in"),
    (backend("kafka", replication=3), (), "a topic cannot have more copies than brokers"),
    (backend("kafka", strimziCluster="events"), (), "so backends.kafka.kind must be external"),
    (
        backend("kafka", kind="external", strimziCluster="events", external={"url": URLS["kafka"]}), (),
        "install Strimzi first",
    ),
    ({"ray": {"kind": "external"}}, (), "ray.external.address is needed"),
    ({"gateway": {"kind": "httproute", "service": NODE_PORTS}}, ROUTES, "gateway.parents must name a Gateway"),
    ({"gateway": {"kind": "httproute", "parents": [PARENT], "service": NODE_PORTS}}, (), "or use embedded"),
    (
        {"gateway": {"kind": "httproute", "parents": [PARENT], "service": NODE_PORTS}}, ROUTES,
        "origin must say under which URL",
    ),
    ({"gateway": {"service": {"type": "ClusterIP"}}}, (), "only if gateway.service.type is NodePort"),
    ({"peers": [{"name": "clinic", "did": CLINIC}]}, (), "organisation.did must say"),
    ({"peers": [{"name": "clinic", "cidr": "10.0.0.0/8"}]}, (), "the network policy would allow nothing"),
    ({"services": {"a": {"roles": {"b-c": {}}}, "a-b": {"roles": {"c": {}}}}}, (), "rename one"),
    (
        {"services": {"twin-state": {"roles": {"live": {"primary": True}}}}}, (),
        "one alone takes what no other role takes",
    ),
    (role("steward", storage={"path": "/x", "size": "1Gi"}), (), "its kind must be StatefulSet"),
    (role("ledger", replicas=2), (), "a log has one writer"),
    (role("ledger", scaling={"mode": "hpa"}), (), "a log has one writer"),
    (role("ingestion", scaling={"mode": "hpa", "min": 4}), (), "min is 4 and max is 3"),
    (worker(), (), "install KEDA"),
    (worker(group=""), KEDA, "must say whose lag counts"),
    (worker(max=65), KEDA, "more pods would be idle"),
    (worker(topic="didymos.reading.v1"), KEDA, "the catalogue of topics does not have"),
    (role("training-orchestration", replicas=2), (), "files.accessMode must be ReadWriteMany"),
    ({"services": {"steward": {"calls": ["identities"]}}}, (), "runs nowhere in this release"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "arguments", "sentence"), CONTRADICTIONS)
def test_a_contradiction_is_refused_with_a_sentence(
    values: dict[str, Any], arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(HelmError) as refused:
        render([SMALL, values], *arguments)
    assert sentence in str(refused.value)


def test_each_sentence_of_the_chart_has_its_case() -> None:
    sentences = re.findall(r"fail (?:\(printf )?\"([^\"]+)\"", (CHART / "templates/_validate.tpl").read_text())
    assert len(sentences) > 20
    for sentence in sentences:
        pieces = [piece for piece in re.split(r"%[sd]", sentence) if len(piece) > 8]
        tried = [said for _, _, said in CONTRADICTIONS]
        assert any(said in sentence or any(piece in said for piece in pieces) for said in tried), sentence


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"gateways": {}}, "gateways"),
        ({"backends": {"kafka": {"brokers": 3}}}, "brokers"),
        (role("identity", replica=2), "replica"),
        (role("identity", resources={"request": {}}), "request"),
        (role("ingestion", env={"DIDYMOS_INGESTION__SHED_BYTE": "1"}), "DIDYMOS_INGESTION__SHED_BYTE"),
        (role("ingestion", env={"DIDYMOS_SECRET": "1"}), "DIDYMOS_SECRET"),
        (role("ingestion", terminationGracePeriodSeconds=10), "terminationGracePeriodSeconds"),
        ({"origin": "twins.example.org"}, "origin"),
        ({"organisation": {"did": "did:key:z6MkClinicExample"}}, "organisation.did"),
        ({"gateway": {"kind": "ingress"}}, "gateway.kind"),
    ],
)
def test_a_misspelt_key_or_value_is_refused_by_its_name(values: dict[str, Any], key: str) -> None:
    with pytest.raises(HelmError) as refused:
        render([SMALL, values])
    assert key in str(refused.value)
