"""Default deny, and nothing more than the catalogue, the calls and the routes ask for."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
import yaml

from tests.chart.rendering import Object, example, of_kind, pods, selects, small
from tools.chart_tools import CHART

STORES: Final = {"kafka": 9092, "postgresql": 5432, "redis": 6379}
PORTS: Final = {"rest": 8080, "grpc": 50051, "admin": 8081, "kafka": 9092, "postgresql": 5432, "redis": 6379}


def policies(objects: tuple[Object, ...] | list[dict[str, Any]], labels: Mapping[str, str]) -> list[Object]:
    found = of_kind(list(objects), "NetworkPolicy").values()
    return [each["spec"] for each in found if selects(each["spec"]["podSelector"], labels)]


def opens(rules: list[Any], side: str, labels: Mapping[str, str], port: int) -> bool:
    """Whether one of the rules names these pods (of the same namespace) and this port."""
    for rule in rules:
        ports = [PORTS.get(each["port"], each["port"]) for each in rule.get("ports", ())]
        peers = rule.get(side, [{"podSelector": {}}])
        chosen = any("podSelector" in peer and "namespaceSelector" not in peer for peer in peers)
        named = any(selects(peer["podSelector"], labels) for peer in peers if set(peer) == {"podSelector"})
        if chosen and named and (not ports or port in ports):
            return True
    return False


def reaches(objects: tuple[Object, ...], caller: Mapping[str, str], called: Mapping[str, str], port: int) -> bool:
    """Both ends must allow it."""
    leaving = [rule for each in policies(objects, caller) for rule in each.get("egress", ())]
    entering = [rule for each in policies(objects, called) for rule in each.get("ingress", ())]
    return opens(leaving, "to", called, port) and opens(entering, "from", caller, port)


@pytest.fixture(scope="module")
def labels() -> dict[str, Mapping[str, str]]:
    """Process to the labels of its pod."""
    return {pod.owner["metadata"]["name"].removeprefix("small-"): pod.labels for pod in pods(example("small"))}


def test_what_no_policy_names_is_denied_both_ways() -> None:
    deny = of_kind(example("small"), "NetworkPolicy")["small-deny"]["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny
    assert [port["port"] for rule in deny["egress"] for port in rule["ports"]] == [53, 53]
    for pod in pods(example("small")):
        if pod.labels["app.kubernetes.io/component"] != "make-secret":  # made before any policy is
            assert len(policies(example("small"), pod.labels)) >= 2, pod.name


def test_whoever_owns_or_reads_a_topic_reaches_the_broker_and_nobody_else(
    labels: dict[str, Mapping[str, str]],
) -> None:
    topics = yaml.safe_load((CHART / "files/topics.yaml").read_text())["topics"]
    speaking = {name for topic in topics for name in (topic["owner"], *topic["readers"])}
    for name, own in labels.items():
        component = own["app.kubernetes.io/component"]
        wanted = ("didymos/role" in own and bool(speaking & {component, "*"})) or component in ("topics", "kafka")
        assert reaches(example("small"), own, labels["kafka"], 9092) == wanted, name


def test_the_topics_name_an_owner_that_the_chart_runs() -> None:
    topics = yaml.safe_load((CHART / "files/topics.yaml").read_text())["topics"]
    services = set(yaml.safe_load((CHART / "values.yaml").read_text())["services"]) | {"*"}
    assert {name for topic in topics for name in (topic["owner"], *topic["readers"])} <= services


@pytest.mark.parametrize(
    ("caller", "called", "port", "allowed"),
    [
        ("ingestion", "identity", 50051, True),
        ("steward", "twin-state-api", 50051, True),
        ("training-orchestration", "marketplace", 50051, True),
        ("steward", "marketplace", 50051, False),
        ("identity", "twin-state-api", 50051, False),
        ("ingestion", "identity", 8081, False),
        ("gateway", "identity", 8080, True),
        ("gateway", "twin-state-live", 8080, True),
        ("gateway", "twin-state-worker", 8080, False),
        ("gateway", "identity", 8081, False),
        ("gateway", "postgresql", 5432, False),
        ("migrate", "postgresql", 5432, True),
        ("migrate", "redis", 6379, False),
        ("topics", "postgresql", 5432, False),
        ("test", "gateway", 8080, True),
        ("test", "identity", 8080, False),
        ("redis", "postgresql", 5432, False),
    ],
)
def test_who_reaches_whom(
    labels: dict[str, Mapping[str, str]], caller: str, called: str, port: int, *, allowed: bool
) -> None:
    assert reaches(example("small"), labels[caller], labels[called], port) is allowed


def test_metrics_are_read_from_the_namespace_of_monitoring_only(labels: dict[str, Mapping[str, str]]) -> None:
    for each in policies(example("small"), labels["identity"]):
        for rule in each.get("ingress", ()):
            if {"port": "admin"} in rule["ports"]:
                (peer,) = rule["from"]
                assert peer == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}


def test_stores_outside_are_reached_by_network_and_port() -> None:
    for service in of_kind(example("large"), "NetworkPolicy").values():
        blocks = [
            (peer["ipBlock"]["cidr"], rule["ports"][0]["port"])
            for rule in service["spec"].get("egress", ())
            for peer in rule["to"]
            if "ipBlock" in peer
        ]
        if "didymos/role" in service["spec"]["podSelector"]["matchLabels"]:
            assert blocks == [("10.20.0.0/24", 9092), ("10.20.1.0/24", 5432), ("10.20.2.0/24", 6379)]


def test_other_organisations_are_dialled_at_their_published_ports_and_never_at_a_store() -> None:
    found = of_kind(example("three-organisations/clinic"), "NetworkPolicy")["clinic-identity"]["spec"]["egress"]
    outside = [rule for rule in found for peer in rule["to"] if "ipBlock" in peer]
    assert {port["port"] for rule in outside for port in rule["ports"]} == {8080, 50051}


def test_all_of_it_can_be_left_to_the_cluster() -> None:
    assert not of_kind(small({"networkPolicy": {"enabled": False}}), "NetworkPolicy")
