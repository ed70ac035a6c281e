"""The commands of the deploy guide and of UPGRADING.md are true: helm takes them, the chart makes what they name."""

import re
import shlex
from collections.abc import Iterator

import pytest

from tests.chart.rendering import of_kind, small
from tools.chart_tools import CHART, ROOT, documents, helm

PAGES = (ROOT / "docs/guides/deploy.md", CHART / "UPGRADING.md")
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(program: str) -> Iterator[list[str]]:
    for page in PAGES:
        for block in SHELL.findall(page.read_text()):
            yield from (shlex.split(line, comments=True) for line in block.splitlines() if line.startswith(program))


def installs() -> list[list[str]]:
    return [words for words in commands("helm") if words[1] in ("install", "upgrade")]


@pytest.mark.parametrize("words", installs(), ids=" ".join)
def test_helm_renders_what_the_guide_installs(words: list[str]) -> None:
    kept = [
        word
        for word in words[2:]
        if word not in ("--wait", "--reuse-values", "--reset-then-reuse-values", "--timeout", "10m")
    ]
    placed = [str(ROOT / word) if word.startswith("charts/") else word for word in kept]
    own = placed.index("values.yaml") if "values.yaml" in placed else None
    if own is not None:  # the reader's own file
        del placed[own - 1 : own + 1]
    arguments = ["--is-upgrade"] if words[1] == "upgrade" else []
    assert documents(helm("template", *placed, *arguments))


def test_the_objects_that_the_guide_names_are_made() -> None:
    made = {f"{each['kind'].lower()}/{each['metadata']['name']}" for each in small()}
    text = (ROOT / "docs/guides/deploy.md").read_text()
    assert "service/didymos-gateway" in text
    assert "service/didymos-gateway" in made
    assert "job/didymos-migrate" in made
    secrets = of_kind(small(), "Job")["didymos-make-secret"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert secrets[secrets.index("--kubernetes") + 1] == "didymos-secrets"


def test_every_value_that_the_guide_names_is_one() -> None:
    readme = (CHART / "README.md").read_text()
    names = (
        "secrets.existing", "backends.kafka.strimziCluster", "gateway.parents", "telemetry.otlpEndpoint",
        "networkPolicy.collector", "networkPolicy.monitoring", "images.registry", "images.backendTag",
    )  # fmt: skip
    for name in names:
        assert f"| `{name}` |" in readme or f"| `{name}." in readme, name


def test_the_requests_in_the_guide_are_those_of_the_example() -> None:
    from tests.chart.test_changes import requests

    millicores, mebibytes = requests(small())
    said = f"{millicores}m CPU and {mebibytes / 1024:.1f} GiB requested"
    assert said in (ROOT / "docs/guides/deploy.md").read_text()
