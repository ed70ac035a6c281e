"""What the tests of the chart ask of a render."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tools.chart_golden import rendered
from tools.chart_tools import CHART, documents, render

Object = Mapping[str, Any]
SMALL = CHART / "examples/small/values.yaml"


@cache
def example(name: str) -> tuple[Object, ...]:
    """All objects of an example, dashboards and rules too; once a process."""
    return tuple(documents(rendered(name)))


def small(*changes: Path | Mapping[str, Any], arguments: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The objects of the example `small` with these values on top."""
    return documents(render([SMALL, *changes], *arguments))


def of_kind(objects: Sequence[Object], kind: str) -> dict[str, Object]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


@dataclass(frozen=True, slots=True)
class Pod:
    """The template of a pod, and who makes it."""

    owner: Object
    labels: Mapping[str, str]
    spec: Object

    @property
    def name(self) -> str:
        return f"{self.owner['kind']} {self.owner['metadata']['name']}"

    @property
    def containers(self) -> list[Object]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def pods(objects: Sequence[Object]) -> Iterator[Pod]:
    for each in objects:
        if each["kind"] == "Pod":
            yield Pod(each, each["metadata"]["labels"], each["spec"])
        elif each["kind"] in ("Deployment", "StatefulSet", "Job", "DaemonSet"):
            template = each["spec"]["template"]
            yield Pod(each, template["metadata"]["labels"], template["spec"])


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())
