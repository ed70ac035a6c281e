"""skaffold.yaml names targets, files and values that there are. The tool itself is not to be had here: hence these.

What `skaffold render` does with these releases is `helm template` with the same files and values; so that is run.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.chart.rendering import of_kind, pods, small
from tests.chart.test_policy import not_restricted
from tools.chart_tools import ROOT, documents, helm

TAG = "0123456789abcdef"


def configuration() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
    return loaded


def parts() -> Iterator[dict[str, Any]]:
    """The configuration, and what each profile puts in its place."""
    whole = configuration()
    yield whole
    yield from whole["profiles"]


def releases() -> list[dict[str, Any]]:
    return [each for part in parts() for each in part.get("deploy", {}).get("helm", {}).get("releases", ())]


def test_every_artifact_is_a_target_of_the_dockerfile() -> None:
    targets = set(re.findall(r"(?m)^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text()))
    for part in parts():
        for artifact in part.get("build", {}).get("artifacts", ()):
            target = artifact["image"].removeprefix("didymos/")
            built = (
                artifact["docker"]["target"] if "docker" in artifact else artifact["custom"]["buildCommand"].split()[3]
            )
            assert built == target
            assert target in targets


def test_every_package_of_the_image_is_synchronised() -> None:
    (rules,) = [each["sync"]["manual"] for each in configuration()["build"]["artifacts"] if "sync" in each]
    said = {rule["strip"]: rule["src"] for rule in rules}
    packages = [*ROOT.glob("libs/*/src"), *ROOT.glob("services/*/src"), ROOT / "cli/src"]
    wanted = {f"{path.relative_to(ROOT)}/" for path in packages if path.parent.name != "template-service"}
    assert set(said) == wanted
    assert all(src == f"{strip}**/*.py" for strip, src in said.items())


@pytest.mark.parametrize("release", releases(), ids=lambda release: f"{release['namespace']}-{release['name']}")
def test_every_release_renders_with_the_images_that_were_built(release: dict[str, Any]) -> None:
    words = [word for path in release["valuesFiles"] for word in ("-f", str(ROOT / path))]
    values = dict(release.get("setValues", {})) | dict.fromkeys(release["setValueTemplates"], TAG)
    for key, value in values.items():
        words += ["--set-string" if isinstance(value, str) else "--set", f"{key}={str(value).lower()}"]
    objects = documents(helm("template", release["name"], str(ROOT / release["chartPath"]), *words))
    found = {one["image"].partition("/")[2] for pod in pods(objects) for one in pod.containers}
    assert {f"{name}:{TAG}" for name in ("service", "kafka", "postgresql", "redis", "gateway")} <= found


def test_the_profile_of_three_organisations_shares_no_namespace() -> None:
    (profile,) = [each for each in configuration()["profiles"] if each["name"] == "three-organisations"]
    spaces = [each["namespace"] for each in profile["deploy"]["helm"]["releases"]]
    assert sorted(spaces) == ["clinic", "hospital", "institute"]


def test_code_that_can_be_written_lies_in_a_volume_and_the_pod_stays_restricted() -> None:
    objects = small({"development": {"sync": True}})
    for pod in pods(objects):
        assert not_restricted(pod) == []
    container = of_kind(objects, "Deployment")["didymos-identity"]["spec"]["template"]["spec"]["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "code", "mountPath": "/opt/code"} in container["volumeMounts"]
