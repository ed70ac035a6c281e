"""Three releases in three namespaces: two train, the third buys and proves, and all that crosses is listened to."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from didymos_cli.card import SERVICES, Card
from didymos_cli.client import http_client
from didymos_kit.keyring import KeyRing

from tests.cluster.kube import ROOT, CommandError, Kube
from tests.organisations.relay import Relay, relaying
from tests.organisations.scenario import NAMES, Party, faults, played, the_cast

EXAMPLES: Final = ROOT / "charts" / "didymos" / "examples" / "three-organisations"
HERE: Final = Path(__file__).parent
PORTS: Final = {"hospital": (30180, 30151), "clinic": (30280, 30251), "institute": (30380, 30351)}
RINGS: Final = {name: KeyRing(sha256(f"didymos example {name}".encode()).digest()) for name in NAMES}
SEED: Final = 11


async def three_organisations(kube: Kube, chart: str, build: Path) -> tuple[str, list[str]]:
    """What was seen, and what is wrong with it. The namespaces are gone afterwards."""
    kubes = {name: replace(kube, namespace=name) for name in NAMES}
    try:
        async with AsyncExitStack() as stack, http_client() as http:
            node = await kube.node_address()
            relays = {
                name: [await stack.enter_async_context(relaying(node, port)) for port in (*ports, ports[0])]
                for name, ports in PORTS.items()
            }
            await asyncio.gather(*(_installed(kubes[name], chart, relays[name][0]) for name in NAMES))
            parties = {name: _party(name, relays[name]) for name in NAMES}
            heard = await stack.enter_async_context(_listening(kubes, build))
            told = await played(parties, the_cast(SEED, RINGS), build / "sites", http, _say)
        between = [json.loads(line) for line in heard.read_text().splitlines()]
        crossed = [relay.all() for each in relays.values() for relay in each[:2]]
        crossed += [bytes.fromhex(payload) for _, _, payload in between]
        spoke = sorted({f"{source} to {target}" for source, target, _ in between})
        size = sum(map(len, crossed))
        note = f"{told.ran.shown['committed']} rounds over two houses, {size:,} bytes crossed; pods: {', '.join(spoke)}"
        return note, faults(told, RINGS, crossed)
    finally:
        for name in NAMES:
            await kube.ctl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


async def _installed(kube: Kube, chart: str, rest: Relay) -> None:
    name = kube.namespace
    await kube.apply(
        {
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{name}-secrets"},
            "stringData": {
                "root": RINGS[name].root.hex(), "postgres-password": RINGS[name].secret("test/postgres").hex(),
                "redis-password": RINGS[name].secret("test/redis").hex(),
            },
        },
    )  # fmt: skip
    values = ["-f", str(EXAMPLES / name / "values.yaml"), "-f", str(HERE / "three.yaml"), "--set", f"origin={rest.url}"]
    if name == "hospital":
        values += ["-f", str(HERE / "values.yaml"), "--set", "services.twin-state.roles.forecaster.enabled=false"]
    await kube.helm("install", name, chart, *values, "--wait", "--timeout", "15m")
    await kube.all_ready(300)
    if name == "hospital":
        await kube.give_validation()


def _party(name: str, relays: list[Relay]) -> Party:
    rest, grpc, inside = relays
    ring = RINGS[name]
    return Party(
        name, ring, Card(rest.url, grpc.address, ring.organisation.did, {each: ring.did(each) for each in SERVICES}),
        inside.url,
    )  # fmt: skip


@asynccontextmanager
async def _listening(kubes: Mapping[str, Kube], build: Path) -> AsyncIterator[Path]:
    """The file with what pods of one organisation say to those of another."""
    pods = {pod["status"]["podIP"]: name for name, kube in kubes.items() for pod in await kube.pods()}
    path = build / "between.jsonl"
    path.unlink(missing_ok=True)
    program = str(next(iter(kubes.values())).program)
    words = (program, "exec", sys.executable, str(HERE / "listening.py"), str(path), json.dumps(pods))
    process = await asyncio.create_subprocess_exec(*words)
    try:
        yield path
        if process.returncode is not None:
            raise CommandError(f"the listener ended with {process.returncode}")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)
