"""`make dashboards-verify`: does every panel of every dashboard return data, in a running house under load?

Starts the house (embedded, or on the servers that `DIDYMOS_KAFKA_URL` and so on name), a Prometheus that scrapes its
admin port with the rules of the chart, and plays the demo in that house. Meanwhile each query of each panel is asked
until it returns something, and each rule must have been evaluated. An error or an empty answer is a failure; a panel
whose back end is not here is listed as not verified. Writes build/dashboards/verified.json.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

from telemetry.dashboards import DASHBOARDS
from telemetry.dashboards.panels import RANGE, WINDOW, Panel

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build/dashboards"
BIN: Final = Path(sys.executable).parent
SCRAPED_SECONDS: Final = 60
DEMO_SECONDS: Final = 900
PEOPLE: Final = "13"
SERVERS: Final = {"kafka": "DIDYMOS_KAFKA_URL", "postgres": "DIDYMOS_POSTGRES_URL", "redis": "DIDYMOS_REDIS_URL"}
_OPENER: Final = build_opener(ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query of a panel returned: how many series, or why none."""

    dashboard: str
    panel: str
    query: str
    series: int
    said: str = ""


@dataclass(frozen=True, slots=True)
class Ports:
    rest: int
    grpc: int
    admin: int
    prometheus: int


def main() -> int:
    if shutil.which("prometheus") is None:
        sys.stderr.write("prometheus is missing: install Debian's package `prometheus`, or its release\n")
        return 4
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    servers = all(os.environ.get(name) for name in SERVERS.values())
    ports = Ports(*free_ports(4))
    begun = time.monotonic()
    with _house(ports, servers=servers), prometheus(ports), _demo() as demo:
        scraped = time.monotonic()
        answers = _until_answered(ports, demo, scraped, servers=servers)
        played = demo.poll() or 0
        _tell(begun, f"scraped for {time.monotonic() - scraped:.0f} s")
        broken = _broken_rules(ports)
    return report(answers, broken, played, servers=servers, seconds=time.monotonic() - begun)


def _until_answered(ports: Ports, demo: subprocess.Popen[bytes], begun: float, *, servers: bool) -> list[Answer]:
    """Every query is asked until it returns something, for as long as the demo lasts and at least a minute."""
    wanted = [
        (dashboard.name, panel, query.expr)
        for dashboard in DASHBOARDS
        for panel in dashboard.panels
        if _is_here(panel, servers=servers)
        for query in panel.queries
    ]
    found: dict[tuple[str, str, str], Answer] = {}
    while True:
        ended = demo.poll() is not None
        elapsed = time.monotonic() - begun
        for name, panel, expr in wanted:
            key = (name, panel.title, expr)
            if key not in found or not found[key].series:
                found[key] = asked(ports, name, panel, expr, max(10, int(elapsed)))
        answered = all(answer.series for answer in found.values()) and not demo.returncode
        if elapsed >= SCRAPED_SECONDS and (ended or answered or elapsed >= DEMO_SECONDS):
            return list(found.values())
        time.sleep(5)


def _unverified(*, servers: bool) -> list[str]:
    return [
        f"{each.name}: {panel.title}"
        for each in DASHBOARDS
        for panel in each.panels
        if not _is_here(panel, servers=servers)
    ]


def _is_here(panel: Panel, *, servers: bool) -> bool:
    """Whether the back end is that a panel needs: one of the servers, or a program beside the house."""
    return not panel.needs or (servers if panel.needs == "kafka" else shutil.which(panel.needs) is not None)


def report(answers: list[Answer], broken: list[str], played: int, *, servers: bool, seconds: float) -> int:
    skipped = _unverified(servers=servers)
    empty = [answer for answer in answers if not answer.series]
    said: dict[str, Any] = {
        "back_ends": "servers" if servers else "embedded", "seconds": round(seconds), "panels": _panels(answers),
        "queries": len(answers), "empty": [asdict(each) for each in empty], "rules_failed": broken,
        "not_verified": skipped, "demo": played,
    }  # fmt: skip
    (FOLDER / "verified.json").write_text(json.dumps(said, indent=2) + "\n")
    for name in dict.fromkeys(answer.dashboard for answer in answers):
        here = [answer for answer in answers if answer.dashboard == name]
        sys.stdout.write(f"{name:14} {_panels(here):3} panels  {sum(answer.series for answer in here):4} series\n")
    for answer in empty:
        sys.stdout.write(f"EMPTY  {answer.dashboard}: {answer.panel}: {answer.said}\n       {answer.query}\n")
    for line in (*(f"RULE   {name}" for name in broken), *(f"not verified  {name}" for name in skipped)):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(answers)} queries, {len(empty)} empty, {said['seconds']} s, {said['back_ends']}\n")
    return 1 if empty or broken or played else 0


def _panels(answers: list[Answer]) -> int:
    return len({(answer.dashboard, answer.panel) for answer in answers})


def _tell(begun: float, line: str) -> None:
    sys.stderr.write(f"{time.monotonic() - begun:6.1f} s  {line}\n")


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return found


@contextmanager
def _house(ports: Ports, *, servers: bool) -> Iterator[None]:
    """`didymos up`, answering. Its secret is in the environment of this process: the demo operates the house."""
    secret, folder = secrets.token_hex(32), FOLDER / "house"
    folder.mkdir()
    key = folder / "house.key"
    key.touch(0o600)
    key.write_bytes(bytes.fromhex(secret))
    os.environ["DIDYMOS_SECRET"] = secret
    own = {
        "DIDYMOS_TRAINING_ORCHESTRATION__VALIDATION": str(ROOT / "data/glucose/validation.csv.gz"),
        "DIDYMOS_TRAINING_ORCHESTRATION__POLL_SECONDS": "0.1",
        "DIDYMOS_LEDGER__AGREE_SECONDS": "0.2",
    }
    if servers:
        own |= {
            "DIDYMOS_ORIGIN": f"http://127.0.0.1:{ports.rest}", "DIDYMOS_REST_PORT": str(ports.rest),
            "DIDYMOS_GRPC_PORT": str(ports.grpc), "DIDYMOS_ADMIN_PORT": str(ports.admin),
            "DIDYMOS_FILES": str(folder / "files"), "DIDYMOS_LEDGER__FOLDER": str(folder / "ledger"),
        }  # fmt: skip
    where = ("--port", ports.rest, "--grpc-port", ports.grpc, "--admin-port", ports.admin)
    command = [BIN / "didymos", "up", "--data", folder, *(("--servers",) if servers else where)]
    with ExitStack() as running:
        if shutil.which("mosquitto") is not None:
            broker = free_ports(1)[0]
            running.enter_context(_process("mosquitto", ["mosquitto", "-p", broker], os.environ))
            own["DIDYMOS_INGESTION__MQTT__URL"] = f"mqtt://127.0.0.1:{broker}"
        running.enter_context(_process("house", command, {**os.environ, **own}))
        asked = [BIN / "didymos", "status", "--house", folder / "house.json", "--wait", "240"]
        subprocess.run(list(map(str, asked)), check=True, stdout=subprocess.DEVNULL)
        yield


@contextmanager
def prometheus(ports: Ports) -> Iterator[None]:
    config = {
        "global": {"scrape_interval": "2s", "evaluation_interval": "5s"},
        "rule_files": [str(ROOT / "charts/didymos/rules/*.yaml")],
        "scrape_configs": [{"job_name": "didymos", "static_configs": [{"targets": [f"127.0.0.1:{ports.admin}"]}]}],
    }
    (FOLDER / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    command = [
        "prometheus", f"--config.file={FOLDER}/prometheus.yml", f"--storage.tsdb.path={FOLDER}/tsdb",
        f"--web.listen-address=127.0.0.1:{ports.prometheus}", "--log.level=warn",
    ]  # fmt: skip
    with _process("prometheus", command, os.environ):
        for _ in range(100):
            try:
                _get(ports, "query", query="up")
            except OSError:
                time.sleep(0.2)
            else:
                break
        yield


@contextmanager
def _process(name: str, command: list[Any], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Runs for as long as the block at most; its output lies in the folder."""
    with (FOLDER / f"{name}.log").open("wb") as output:
        process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environment)
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _demo() -> Iterator[subprocess.Popen[bytes]]:
    """The demo, in the house that runs. It is ended as soon as every panel has answered: it ends its sites itself."""
    command = [
        BIN / "didymos", "demo", "--json", "--people", PEOPLE, "--folder", FOLDER / "demo",
        "--house", FOLDER / "house/house.json",
    ]  # fmt: skip
    with _process("demo", command, os.environ) as process:
        yield process


def _get(ports: Ports, what: str, **asked: str) -> Any:  # noqa: ANN401 - as Prometheus says it
    url = f"http://127.0.0.1:{ports.prometheus}/api/v1/{what}?{urlencode(asked)}"
    with _OPENER.open(url, timeout=30) as answer:
        return json.load(answer)["data"]


def asked(ports: Ports, dashboard: str, panel: Panel, expr: str, window: int) -> Answer:
    """As Grafana would ask it, over the time in which the house was scraped. A series of NaN says nothing."""
    query = expr.replace(WINDOW, f"{window}s").replace(RANGE, f"{window}s").replace("$namespace", ".*")
    try:
        found = _get(ports, "query", query=query)["result"]
    except OSError as error:
        return Answer(dashboard, panel.title, query, 0, str(error))
    told = [series for series in found if series["value"][1] != "NaN"]
    return Answer(dashboard, panel.title, query, len(told), "" if told else f"{len(found)} series, all without a value")


def _broken_rules(ports: Ports) -> list[str]:
    """Rules that could not be evaluated."""
    groups = _get(ports, "rules")["groups"]
    return [
        f"{rule['name']}: {rule.get('lastError') or rule['health']}"
        for group in groups
        for rule in group["rules"]
        if rule["health"] != "ok"
    ]


if __name__ == "__main__":
    sys.exit(main())
