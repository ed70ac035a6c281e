"""`make cluster-test`: install the chart on a real Kubernetes, play the demo in it, then change it under load.

Prints one table and writes build/cluster-test.json. Without a cluster kit (CLUSTER_KIT) it says so and ends with 0.
"""

import argparse
import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from didymos_cli.card import SERVICES, Card, write_card
from didymos_cli.client import http_client
from didymos_kit.keyring import KeyRing

from tests.cluster.kube import ROOT, CommandError, Kube, command, kit
from tests.cluster.rounds import InFlight, MaskedRuns, masked_runs
from tests.cluster.steps import CALM_SECONDS, RELEASE, Step, steps
from tests.cluster.three import three_organisations
from tests.load.devices import LoadDevice
from tests.load.shapes import PROFILE, SHAPES, measured
from tests.load.traffic import Traffic, under_load

NAMESPACE: Final = "didymos-test"
CHART: Final = str(ROOT / "charts" / "didymos")
BUILD: Final = ROOT / "build" / "cluster-test"
HERE: Final = Path(__file__).parent
REST_PORT, GRPC_PORT = 30080, 30051
NEXT: Final = "next"
PACE_SECONDS: Final = 0.1  # between the batches of a device
IMAGES: Final = ("service", "gateway", "kafka", "postgresql", "redis")
RESTRICTED: Final = {
    "apiVersion": "v1", "kind": "Namespace",
    "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """What one step showed."""

    step: str
    seconds: float
    acknowledged: int = 0
    lost: int = 0
    twice: int = 0
    later: int = 0
    resets: int = 0
    faults: int = 0
    rounds: int = 0
    wrong: int = 0
    ok: bool = True
    note: str = ""


async def timed(name: str, work: Awaitable[str]) -> Row:
    """A step without load. What it raises ends the test."""
    begun = time.monotonic()
    print(f"cluster-test: {name}", file=sys.stderr, flush=True)
    note = await work
    return Row(name, round(time.monotonic() - begun, 1), note=note)


async def built(kube: Kube, *, learner: bool) -> str:
    """Images from this tree, in the cluster; those of the services once more as their next version."""
    images = (*IMAGES, "learner") if learner else IMAGES
    build = (sys.executable, str(ROOT / "tools" / "images.py"))
    await command(*build, *images, "--load", environ={"CLUSTER_KIT": str(kube.program.parent)})
    following = [name for name in images if name in ("service", "learner")]  # stores keep their version
    await command(*build, *following, "--tag", NEXT, "--load", environ={"CLUSTER_KIT": str(kube.program.parent)})
    return ", ".join(images)


async def installed(kube: Kube, *, learner: bool) -> str:
    """From nothing to all Ready."""
    await kube.apply(RESTRICTED)
    origin = f"http://{await kube.node_address()}:{REST_PORT}"
    values = ["-f", f"{CHART}/examples/small/values.yaml", "--set", f"origin={origin}"]
    if learner:
        values += ["-f", str(HERE / "values.yaml")]
    await kube.helm("install", RELEASE, CHART, *values, "--wait", "--timeout", "10m")
    await kube.all_ready(300)
    return f"{len(await kube.pods())} pods Ready"


async def card_in(kube: Kube) -> tuple[Card, str]:
    """Where the house is reached from outside, and its root key."""
    address = await kube.node_address()
    (secret,) = [
        each for each in await kube.get("secrets") if each["metadata"]["name"] == f"{RELEASE}-secrets"
    ]  # fmt: skip
    root = base64.b64decode(secret["data"]["root"]).decode().strip()
    ring = KeyRing(bytes.fromhex(root))
    dids = {name: ring.did(name) for name in SERVICES}
    card = Card(f"http://{address}:{REST_PORT}", f"{address}:{GRPC_PORT}", ring.organisation.did, dids)
    write_card(BUILD / "house.json", card)
    return card, root


async def demo_played(kube: Kube, root: str) -> str:
    """The demo from outside, with real rounds and proofs; its figures are in build/cluster-test/demo.json."""
    await kube.give_validation()
    told = await command(
        sys.executable, "-m", "didymos_cli.main", "demo", "--house", str(BUILD / "house.json"), "--folder",
        str(BUILD / "demo"), "--people", "13", "--seed", str(time.time_ns() % 1_000_000), "--json",
        environ={"DIDYMOS_SECRET": root},
    )  # fmt: skip
    (BUILD / "demo.json").write_text(told)
    said = json.loads(told)
    return f"{said['rounds']} rounds, {said['readings']['applied']:,} of {said['readings']['accepted']:,} applied"


def devices_of(step: Step, card: Card, begun: float) -> list[LoadDevice]:
    """New ones for each step: wearables of shape D."""
    devices = [LoadDevice(f"{step.name} {begun} {number}", card.org, PROFILE, 1) for number in range(step.devices)]
    for device in devices:
        device.measured = measured(SHAPES["D"], device.ids, device.seed)
    return devices


async def changed(kube: Kube, card: Card, step: Step, runs: MaskedRuns | None) -> Row:
    """A step under load, with rounds in flight; what it does to readings and rounds is counted."""
    begun, note, ok, told = time.monotonic(), "", True, InFlight()
    print(f"cluster-test: {step.name}", file=sys.stderr, flush=True)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(http_client())
        traffic = Traffic(card.origin, http, devices_of(step, card, begun), PACE_SECONDS)
        if runs is not None:
            told = await stack.enter_async_context(runs.in_flight())
        async with under_load(traffic):
            await asyncio.sleep(CALM_SECONDS)
            try:
                note = await step.change(kube)
            except (CommandError, TimeoutError) as error:
                note, ok = f"{error}"[:400], False
            await asyncio.sleep(CALM_SECONDS)
        verdict, counted = await traffic.verdict(), traffic.counted
    wrong = told.wrong if told.rounds or runs is None else [*told.wrong, "no round ended"]
    ok = ok and verdict.holds and not counted.faults and not wrong
    for fault in ([] if verdict.holds else [verdict]) + counted.faults[:3] + wrong[:3]:
        print(f"  {fault}", file=sys.stderr)
    return Row(
        step.name, round(time.monotonic() - begun, 1), counted.acknowledged, verdict.lost, verdict.twice,
        counted.later, counted.resets, len(counted.faults), told.rounds, len(wrong), ok, note,
    )  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    names = tuple(each.name for each in fields(Row))
    cells = [names, *(tuple(str(asdict(row)[name]) for name in names) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


async def tested(program: Path, wanted: Mapping[str, Any]) -> list[Row]:
    kube = await Kube.up(program, NAMESPACE)
    rows: list[Row] = []
    try:
        if wanted["build"]:
            rows.append(await timed("images", built(kube, learner=wanted["learner"])))
        if wanted["install"]:
            rows.append(await timed("install", installed(kube, learner=wanted["learner"])))
        if wanted["repeat"]:
            rows += await _in_one_house(kube, wanted)
        if wanted["three"]:
            if not wanted["keep"]:
                await kube.ctl("delete", "namespace", NAMESPACE, "--ignore-not-found")
            rows.append(await _three(kube))
    finally:
        if not wanted["keep"]:
            await kube.ctl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    return rows


async def _in_one_house(kube: Kube, wanted: Mapping[str, Any]) -> list[Row]:
    """The demo, and each change under load."""
    rows: list[Row] = []
    card, root = await card_in(kube)
    if wanted["learner"] and wanted["demo"]:
        rows.append(await timed("demo", demo_played(kube, root)))
    async with AsyncExitStack() as stack:
        runs = None
        if wanted["learner"]:
            print("cluster-test: a calm run over six sites", file=sys.stderr, flush=True)
            runs = await stack.enter_async_context(masked_runs(card, root, BUILD / "sites"))
        for _ in range(wanted["repeat"]):
            for step in steps(CHART, NEXT):
                if wanted["only"] in step.name:
                    rows.append(await changed(kube, card, step, runs))
                    written(rows)
    return rows


async def _three(kube: Kube) -> Row:
    begun, name = time.monotonic(), "three organisations"
    print(f"cluster-test: {name}", file=sys.stderr, flush=True)
    note, found = await three_organisations(kube, CHART, BUILD)
    for fault in found:
        print(f"  {fault}", file=sys.stderr)
    return Row(name, round(time.monotonic() - begun, 1), faults=len(found), ok=not found, note=note)


def written(rows: Sequence[Row]) -> None:
    (ROOT / "build" / "cluster-test.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def main() -> int:
    asked = argparse.ArgumentParser(prog="make cluster-test")
    asked.add_argument("--no-build", dest="build", action="store_false", help="the images are in the cluster")
    asked.add_argument("--no-install", dest="install", action="store_false", help="the release is there")
    asked.add_argument("--no-learner", dest="learner", action="store_false", help="no image with torch, and no demo")
    asked.add_argument("--no-demo", dest="demo", action="store_false")
    asked.add_argument("--no-three", dest="three", action="store_false", help="no run of three organisations")
    asked.add_argument("--only", default="", help="steps whose name has this")
    asked.add_argument("--repeat", type=int, default=1, help="times that all changes are made; 0: not at all")
    asked.add_argument("--keep", action="store_true", help="leave the release there")
    wanted = vars(asked.parse_args())
    program = kit()
    if program is None or os.geteuid():
        print("cluster-test: not run: it needs a cluster kit (CLUSTER_KIT) and root", file=sys.stderr)
        return 0
    BUILD.mkdir(parents=True, exist_ok=True)
    rows = asyncio.run(tested(program, wanted))
    written(rows)
    print(table(rows))
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
