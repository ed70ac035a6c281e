"""One origin: each path and each call of the published interfaces goes to the role that answers it."""

import ast
import json
import re

import pytest

from tests.chart.rendering import Object, example, of_kind
from tools.chart_tools import CHART, ROOT

ROLES = {
    "events": "twin-state-live", "streams": "twin-state-live",
    "forecast": "twin-state-forecaster", "what-if": "twin-state-forecaster", "models": "twin-state-forecaster",
}  # fmt: skip


def locations(objects: tuple[Object, ...], port: int) -> list[tuple[bool, str, str]]:
    """`(is a pattern, prefix or pattern, process)` of nginx' server on this port."""
    text = of_kind(objects, "ConfigMap")["learning-gateway"]["data"]["nginx.conf"]
    server = text.partition(f"listen {port}")[2].partition("\n  server {")[0]
    found = re.findall(r"location (~ )?(\S+) \{ (?:proxy|grpc)_pass \w+://learning-(\S+)\.(?:rest|grpc); \}", server)
    return [(bool(pattern), path, process) for pattern, path, process in found]


def routed(objects: tuple[Object, ...], port: int, path: str) -> str:
    """As nginx does: the first pattern that matches, else the longest prefix."""
    places = locations(objects, port)
    for pattern, place, process in places:
        if pattern and re.search(place, path):
            return process
    prefixes = [(len(place), process) for pattern, place, process in places if not pattern and path.startswith(place)]
    return max(prefixes)[1] if prefixes else "nobody"


@pytest.mark.parametrize("document", sorted((ROOT / "docs/api").glob("*.json")), ids=lambda path: path.stem)
def test_every_published_path_goes_to_its_role(document: object) -> None:
    text = (ROOT / "docs/api" / f"{getattr(document, 'stem', '')}.json").read_text()
    service = getattr(document, "stem", "")
    paths = list(json.loads(text)["paths"])
    assert paths
    for path in paths:
        whole = path if path.startswith(f"/{service}/") else f"/{service}{path}"
        concrete = re.sub(r"\{[^}]+\}", "did:key:z6Mk", whole)
        last = "streams" if "/devices/" in concrete else concrete.rpartition("/")[2]
        wanted = ROLES.get(last, "twin-state-api") if service == "twin-state" else service
        assert routed(example("learning"), 8080, concrete) == wanted, whole


def test_every_published_call_goes_to_its_role() -> None:
    owners = {"twin": "twin-state-api", "training": "training-orchestration", "market": "marketplace"}
    other = {"TwinState/Watch": "twin-state-live", "Forecasts/Forecast": "twin-state-forecaster"}
    seen = 0
    for path in sorted((ROOT / "protos/didymos").rglob("*_service.proto")):
        area = path.parent.parent.name
        for service, body in re.findall(r"service (\w+) \{(.*?)\n\}", path.read_text(), flags=re.S):
            for method in re.findall(r"rpc (\w+)", body):
                call = f"{service}/{method}"
                wanted = other.get(call, owners.get(area, area))
                assert routed(example("learning"), 50051, f"/didymos.{area}.v1.{call}") == wanted
                seen += 1
    assert seen > 15


def test_the_values_name_each_call_between_services() -> None:
    """`calls` decides what the network allows: it is what `house.rpc` dials, no more and no less."""
    said = {service: set(block["calls"]) for service, block in chart_values()["services"].items()}
    for service, calls in said.items():
        dialled = {"identity"} if service != "identity" else set()  # every caller gets its tokens there
        for path in (ROOT / "services" / service / "src").rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "rpc":
                    dialled |= {str(each.value) for each in node.args[:1] if isinstance(each, ast.Constant)}
        if dialled == {"identity"} and service == "marketplace":
            dialled = calls
        assert calls == dialled, service


def chart_values() -> dict[str, dict[str, dict[str, list[str]]]]:
    import yaml

    loaded: dict[str, dict[str, dict[str, list[str]]]] = yaml.safe_load((CHART / "values.yaml").read_text())
    return loaded


def test_a_back_end_that_is_away_is_a_503_that_says_when_to_come_again() -> None:
    text = of_kind(example("learning"), "ConfigMap")["learning-gateway"]["data"]["nginx.conf"]
    assert text.count("error_page 502 504 = @away;") == 2
    assert "add_header Retry-After 1 always;" in text
    assert "grpc-status 14" in text
