"""Every pod of every example is *restricted*, asks for what it needs, and can be probed."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.chart.rendering import Pod, example, of_kind, pods, selects
from tools.chart_golden import examples
from tools.chart_tools import CHART, VERSIONS, unfit

OF_OTHERS = {"ScaledObject", "PodMonitor", "PrometheusRule", "HTTPRoute", "GRPCRoute", "KafkaTopic"}
VOLUMES = {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected", "downwardAPI", "csi", "ephemeral"}


@pytest.fixture(params=examples())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def not_restricted(pod: Pod) -> list[str]:
    """What the Pod Security Standard `restricted` has against a pod; empty if nothing."""
    security = pod.spec.get("securityContext", {})
    wrong = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(key)]
    if not security.get("runAsNonRoot") or security.get("runAsUser") != 65532:
        wrong.append("runs as root")
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        wrong.append("no seccomp profile")
    volumes = pod.spec.get("volumes", ())
    wrong += [f"volume {each['name']}" for each in volumes if not (set(each) - {"name"}) <= VOLUMES]
    for container in pod.containers:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            wrong.append("may escalate")
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
            wrong.append("has capabilities")
        if own.get("privileged") or any("hostPort" in port for port in container.get("ports", ())):
            wrong.append("has a part of the host")
    return wrong


def test_every_pod_is_restricted_and_its_root_is_read_only(name: str) -> None:
    found = list(pods(example(name)))
    assert len(found) >= 10
    for pod in found:
        assert not_restricted(pod) == [], pod.name
        for container in pod.containers:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, pod.name
            assert any(mount["mountPath"] == "/tmp" for mount in container["volumeMounts"]), pod.name  # noqa: S108


def test_a_pod_that_breaks_a_rule_is_found() -> None:
    bad: Mapping[str, Any] = {"metadata": {"name": "x"}, "kind": "Pod"}
    spec = {"hostNetwork": True, "volumes": [{"name": "v", "hostPath": {}}], "containers": [{}]}
    assert len(not_restricted(Pod(bad, {}, spec))) == 6


def test_one_pod_alone_has_a_token_and_that_one_is_gone_when_it_is_done(name: str) -> None:
    having = [pod for pod in pods(example(name)) if pod.spec["automountServiceAccountToken"]]
    for pod in having:
        assert pod.labels["app.kubernetes.io/component"] == "make-secret"
        assert "hook-succeeded" in pod.owner["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
    assert len(having) == (0 if name in ("large", "operators") else 1)
    for role in of_kind(example(name), "Role").values():
        assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}]
    assert not of_kind(example(name), "ClusterRole")


def test_every_container_says_what_it_needs_and_can_be_probed(name: str) -> None:
    for pod in pods(example(name)):
        runs = pod.owner["kind"] in ("Deployment", "StatefulSet")
        assert pod.spec["enableServiceLinks"] is False, f"{pod.name}: its environment would have names nobody set"
        for container in pod.containers:
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}, pod.name
            assert "memory" in container["resources"]["limits"], pod.name
            assert container["image"].rpartition(":")[2] not in ("", "latest")
            if runs:
                assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container), pod.name


def test_secrets_are_files_and_never_values(name: str) -> None:
    for pod in pods(example(name)):
        for container in pod.containers:
            for variable in container.get("env", ()):
                assert "secretKeyRef" not in variable.get("valueFrom", {}), pod.name
                assert variable["name"] not in ("DIDYMOS_SECRET", "DIDYMOS_POSTGRES_PASSWORD", "DIDYMOS_REDIS_PASSWORD")
    assert not of_kind(example(name), "Secret")


def test_names_of_settings_stand_once(name: str) -> None:
    for pod in pods(example(name)):
        for container in pod.containers:
            given = [variable["name"] for variable in container.get("env", ())]
            assert len(given) == len(set(given)), pod.name


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_the_strict_schema(name: str, version: str) -> None:
    checked = [each for each in example(name) if each["kind"] not in OF_OTHERS]
    assert [said for each in checked for said in unfit(each, version)] == []


def test_the_strict_schema_refuses_a_misspelt_field() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"portz": []}}
    assert [said for version in VERSIONS for said in unfit(service, version)]


def test_what_has_many_pods_is_disrupted_one_at_a_time(name: str) -> None:
    objects = example(name)
    budgets = of_kind(objects, "PodDisruptionBudget")
    for kind in ("Deployment", "StatefulSet"):
        for found, each in of_kind(objects, kind).items():
            if each["spec"].get("replicas", 2) > 1 and "ray" not in found:
                budget = budgets[found]["spec"]
                assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
                assert budget["selector"] == each["spec"]["selector"]


def test_no_workload_has_two_scalers(name: str) -> None:
    objects = example(name)
    by_cpu, by_lag = of_kind(objects, "HorizontalPodAutoscaler"), of_kind(objects, "ScaledObject")
    assert not set(by_cpu) & set(by_lag)
    for found in (*by_cpu, *by_lag):
        scaled = of_kind(objects, "Deployment").get(found) or of_kind(objects, "StatefulSet")[found]
        assert "replicas" not in scaled["spec"], f"{found}: an upgrade would undo the scaler's work"


def test_every_service_has_pods_and_every_pod_an_account(name: str) -> None:
    objects = example(name)
    templates = list(pods(objects))
    for service in of_kind(objects, "Service").values():
        assert any(selects({"matchLabels": service["spec"]["selector"]}, pod.labels) for pod in templates)
    accounts = of_kind(objects, "ServiceAccount")
    assert all(pod.spec["serviceAccountName"] in accounts for pod in templates)


def test_every_dashboard_and_every_rule_is_mounted() -> None:
    maps = of_kind(example("operators"), "ConfigMap").values()
    shown = {key for each in maps if "grafana_dashboard" in each["metadata"]["labels"] for key in each["data"]}
    assert shown == {path.name for path in (CHART / "dashboards").glob("*.json")}
    rules = of_kind(example("operators"), "PrometheusRule").values()
    assert len(rules) == len(list((CHART / "rules").glob("*.yaml")))
    assert all(each["spec"]["groups"] for each in rules)
