"""What a change of values or of the release does: a new service, another size of it, an upgrade."""

import json
from hashlib import sha256
from typing import Any

import yaml
from didymos_kit.keyring import KeyRing
from didymos_ledger.keys import Keys
from didymos_ledger.settings import LedgerSettings

from tests.chart.rendering import SMALL, of_kind, pods, small
from tests.chart.test_policy import not_restricted
from tools.chart_golden import EXAMPLES, rendered
from tools.chart_tools import documents, render

NOTES = {"services": {"car-park": {"calls": ["identity"], "roles": {"all": {}}}}}


def test_a_new_service_needs_its_values_block_and_nothing_else() -> None:
    objects = small(NOTES)
    deployment = of_kind(objects, "Deployment")["didymos-car-park"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "didymos_car_park"]
    assert "didymos-car-park" in of_kind(objects, "Service")
    nginx = of_kind(objects, "ConfigMap")["didymos-gateway"]["data"]["nginx.conf"]
    assert "location /car-park/ { proxy_pass http://didymos-car-park.rest; }" in nginx
    assert "location /didymos.car_park. { grpc_pass grpc://didymos-car-park.grpc; }" in nginx
    policy = of_kind(objects, "NetworkPolicy")["didymos-car-park"]["spec"]
    assert len(policy["egress"]) == 4  # broker, database, hot store, identity
    callers = of_kind(objects, "NetworkPolicy")["didymos-identity"]["spec"]["ingress"][2]["from"]
    assert "car-park" in [each["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for each in callers]
    for pod in pods(objects):
        for variable in (each for one in pod.containers for each in one.get("env", ())):
            if variable["name"] == "DIDYMOS_PEERS":
                assert json.loads(variable["value"])["car-park"] == "didymos-car-park:50051"


def test_a_service_can_be_left_out() -> None:
    before, after = small(), small({"services": {"steward": None}})
    gone = {(each["kind"], each["metadata"]["name"]) for each in before} - {
        (each["kind"], each["metadata"]["name"]) for each in after
    }
    assert gone == {(kind, "didymos-steward") for kind in ("Deployment", "Service", "NetworkPolicy")}


def test_schemas_and_topics_come_by_jobs_at_an_install_and_by_hooks_before_an_upgrade() -> None:
    install = of_kind(small(), "Job")
    upgrade = of_kind(documents(rendered("small", "--is-upgrade")), "Job")
    for what in ("migrate", "topics"):
        assert "annotations" not in install[f"didymos-{what}"]["metadata"], "a hook would wait for what waits for it"
        hook = upgrade[f"small-{what}-upgrade"]
        assert hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
        assert hook["spec"]["backoffLimit"] == 0
        assert hook["spec"]["activeDeadlineSeconds"] == 600
    secret = install["didymos-make-secret"]["metadata"]["annotations"]
    assert secret["helm.sh/hook"] == "pre-install", "a root key that is made at an upgrade would be another house"


def test_the_hooks_of_an_upgrade_are_restricted_too() -> None:
    assert [not_restricted(pod) for pod in pods(documents(rendered("small", "--is-upgrade")))].count([]) > 10
    for pod in pods(documents(rendered("small", "--is-upgrade"))):
        assert not_restricted(pod) == [], pod.name


def test_another_version_of_the_services_restarts_no_store() -> None:
    one, two = (of_kind(small({"images": {"tag": tag}}), "StatefulSet") for tag in ("1.0.0", "1.0.1"))
    for store in ("kafka", "postgresql", "redis"):
        assert one[f"didymos-{store}"]["spec"]["template"] == two[f"didymos-{store}"]["spec"]["template"]
    assert one["didymos-ledger"]["spec"]["template"] != two["didymos-ledger"]["spec"]["template"]


def test_a_change_of_the_routes_restarts_the_gateway_and_nothing_else() -> None:
    before, after = of_kind(small(), "Deployment"), of_kind(small({"gateway": {"maxBody": "8m"}}), "Deployment")
    assert {name for name in before if before[name] != after[name]} == {"didymos-gateway"}


def test_two_releases_share_a_namespace() -> None:
    names = [
        {(each["kind"], each["metadata"]["name"]) for each in documents(render([SMALL], release=release))}
        for release in ("hospital", "clinic")
    ]
    assert not names[0] & names[1]


def requests(objects: list[dict[str, Any]]) -> tuple[int, int]:
    """Sum of all pods that stay, in millicores and MiB."""
    millicores = mebibytes = 0
    for pod in pods(objects):
        if pod.owner["kind"] in ("Deployment", "StatefulSet"):
            for container in pod.containers:
                cpu, memory = (container["resources"]["requests"][name] for name in ("cpu", "memory"))
                millicores += int(cpu.removesuffix("m"))
                mebibytes += int(memory.removesuffix("Mi"))
    return millicores, mebibytes


def test_requests_of_small_leave_a_node_of_two_cores_room() -> None:
    millicores, mebibytes = requests(small())
    assert millicores <= 1700
    assert mebibytes <= 6 * 1024


def test_the_mqtt_gateway_has_a_name_of_its_own_its_brokers_url_and_a_way_to_it() -> None:
    role = {"enabled": True, "dials": [{"cidr": "10.1.0.0/16", "ports": [8883]}]}
    objects = small({"services": {"ingestion": {"roles": {"mqtt": role}}}})
    (pod,) = [each for each in pods(objects) if each.labels.get("didymos/role") == "mqtt"]
    given = {each["name"]: each.get("value") for each in pod.containers[0]["env"]}
    assert given["DIDYMOS_INGESTION__ROLE"] == "mqtt"
    names = [each["name"] for each in pod.containers[0]["env"]]
    assert names.index("DIDYMOS_MEMBER") < names.index("DIDYMOS_INGESTION__MQTT__CLIENT")  # the kubelet puts it in
    (secret,) = [each["secret"] for each in pod.spec["volumes"] if "secret" in each]
    assert {"key": "mqtt-url", "path": "mqtt-url"} in secret["items"]
    rules = of_kind(objects, "NetworkPolicy")["didymos-ingestion-mqtt"]["spec"]["egress"]
    assert {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": [{"port": 8883}]} in rules
    others = [each for each in pods(objects) if each.labels.get("didymos/role") != "mqtt"]
    assert not any("mqtt-url" in str(each.spec) for each in others)


def test_a_scaler_by_lag_finds_the_broker_from_its_own_namespace() -> None:
    keda = {"services": {"twin-state": {"roles": {"worker": {"scaling": {"mode": "keda"}}}}}}
    objects = small(keda, arguments=["--api-versions", "keda.sh/v1alpha1"])
    (scaler,) = of_kind(objects, "ScaledObject").values()
    (trigger,) = scaler["spec"]["triggers"]
    assert trigger["metadata"]["bootstrapServers"] == "didymos-kafka.didymos.svc:9092"
    broker = of_kind(objects, "ConfigMap")["didymos-kafka"]["data"]["server.properties"]
    assert "advertised.listeners=PLAINTEXT://@host@.didymos-kafka-nodes.didymos.svc:9092\n" in broker


def test_a_process_starts_without_its_secret_so_that_it_can_say_so() -> None:
    for pod in pods(small()):
        for volume in pod.spec["volumes"]:
            if "secret" in volume:
                assert volume["secret"].get("optional", False) is ("didymos/role" in pod.labels), pod.name


def test_the_three_organisations_are_known_by_the_keys_of_their_example_roots() -> None:
    roots = {name: sha256(f"didymos example {name}".encode()).digest() for name in ("hospital", "clinic", "institute")}
    keys = {name: Keys(LedgerSettings(), KeyRing(root)) for name, root in roots.items()}
    for name, own in keys.items():
        values = yaml.safe_load((EXAMPLES / "three-organisations" / name / "values.yaml").read_text())
        assert values["organisation"] == {"name": name, "did": own.org}
        for peer in values["peers"]:
            others = keys[peer["name"]]
            assert (peer["did"], peer["logKey"]) == (others.org, others.log().key.vkey())
            assert peer["witness"]["key"] == others.witness(1).key.vkey()
        ledger = of_kind(documents(rendered(f"three-organisations/{name}")), "StatefulSet")[f"{name}-ledger"]
        (container,) = ledger["spec"]["template"]["spec"]["containers"]
        given = {each["name"]: each.get("value") for each in container["env"]}
        assert set(json.loads(given["DIDYMOS_IDENTITY__ORGANISATIONS"])) == {each.org for each in keys.values()}
        partners = LedgerSettings(partners=tuple(json.loads(given["DIDYMOS_LEDGER__PARTNERS"])))
        assert [each.key.vkey() for each in Keys(partners, KeyRing(roots[name])).partners()] == [
            peer["witness"]["key"] for peer in values["peers"]
        ]
