"""What is done to a release while readings come in, step by step."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.cluster.kube import CommandError, Kube, component_of

READY_SECONDS: Final = 300.0
CALM_SECONDS: Final = 5.0  # of load before and after what is done
BACK_ENDS: Final = ("kafka", "postgresql", "redis")
HPA_SECONDS: Final = 240.0
RELEASE: Final = "didymos"
JOBS_SECONDS: Final = 300.0
STARVED: Final = "16Mi"  # of memory, for migrations that are to fail


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a running release. `devices`: how many send meanwhile."""

    name: str
    change: Callable[[Kube], Awaitable[str]]
    devices: int = 6


async def scaled(kube: Kube, kind: str, part: str, replicas: int) -> str:
    await kube.ctl("scale", f"{kind}/{RELEASE}-{part}", f"--replicas={replicas}")
    await kube.all_ready(READY_SECONDS)
    return f"{replicas} pods"


def scaling(kind: str, part: str, *counts: int) -> Callable[[Kube], Awaitable[str]]:
    async def change(kube: Kube) -> str:
        for count in counts:
            await scaled(kube, kind, part, count)
            await asyncio.sleep(CALM_SECONDS)
        return " to ".join(map(str, counts))

    return change


def killing(component: str) -> Callable[[Kube], Awaitable[str]]:
    """SIGKILL to every container of a component, one after the other."""

    async def change(kube: Kube) -> str:
        pods = await kube.pods(component)
        for pod in pods:
            await kube.kill(pod)
            await kube.all_ready(READY_SECONDS)
        return f"{len(pods)} killed"

    return change


async def kill_each_service(kube: Kube) -> str:
    """A pod of each kind."""
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for pod in await kube.pods():
        seen.setdefault((component_of(pod), pod["metadata"]["labels"].get("didymos/role", "")), pod)
    kinds = [pod for (component, _), pod in sorted(seen.items()) if component not in BACK_ENDS]
    for pod in kinds:
        await kube.kill(pod)
        await kube.all_ready(READY_SECONDS)
    return f"{len(kinds)} kinds of pods"


def upgrading(chart: str, *values: str) -> Callable[[Kube], Awaitable[str]]:
    """To the next version, and back to the one before."""

    async def change(kube: Kube) -> str:
        begun = time.monotonic()
        await kube.helm("upgrade", RELEASE, chart, "--reset-then-reuse-values", *values, "--wait", "--timeout", "10m")
        forward = time.monotonic() - begun
        await asyncio.sleep(CALM_SECONDS)
        await kube.helm("rollback", RELEASE, "--wait", "--timeout", "10m")
        return f"forward {forward:.0f} s, back {time.monotonic() - begun - forward:.0f} s"

    return change


def failing_migration(chart: str, *values: str) -> Callable[[Kube], Awaitable[str]]:
    """An upgrade whose migrations are killed for want of memory: it fails, and no pod of the old release is touched."""
    starved = ",".join(f"jobs.resources.{kind}.memory={STARVED}" for kind in ("requests", "limits"))

    async def change(kube: Kube) -> str:
        async with asyncio.timeout(JOBS_SECONDS):
            while await kube.get("jobs"):  # noqa: ASYNC110 - those of an install, or of a roll back to one, are to go
                await asyncio.sleep(2)
        before = {pod["metadata"]["uid"] for pod in await kube.pods()}
        given = (*values, "--set", starved)
        try:
            await kube.helm("upgrade", RELEASE, chart, "--reset-then-reuse-values", *given, "--wait", "--timeout", "5m")
        except CommandError as error:
            if "pre-upgrade hooks failed" not in str(error):
                raise
        else:
            raise CommandError("an upgrade whose migrations were killed went on")
        await asyncio.sleep(CALM_SECONDS)
        after = {pod["metadata"]["uid"] for pod in await kube.pods()}
        await kube.helm("rollback", RELEASE, "--wait", "--timeout", "5m")
        if after != before:
            raise CommandError(f"{len(before - after)} pods of the old release are gone")
        return f"{len(before)} pods as before"

    return change


def raised_by_cpu(chart: str) -> Callable[[Kube], Awaitable[str]]:
    """The autoscaler adds a pod of ingestion under load; the release is as before afterwards."""
    role = "services.ingestion.roles.all.scaling"

    async def change(kube: Kube) -> str:
        given = ("--set", f"{role}.mode=hpa,{role}.min=1,{role}.max=3,{role}.cpuPercent=30")
        await kube.helm("upgrade", RELEASE, chart, "--reset-then-reuse-values", *given, "--wait", "--timeout", "5m")
        begun, count = time.monotonic(), 1
        async with asyncio.timeout(HPA_SECONDS):
            while count < 2:
                await asyncio.sleep(2)
                count = len(await kube.pods("ingestion"))
        took = time.monotonic() - begun
        await kube.helm("rollback", RELEASE, "--wait", "--timeout", "5m")
        return f"{count} pods after {took:.0f} s"

    return change


def steps(chart: str, next_tag: str) -> list[Step]:
    return [
        Step("scale ingestion 1 to 3", scaling("deployment", "ingestion", 3, 1)),
        Step("scale twin-state workers 1 to 3", scaling("statefulset", "twin-state-worker", 3, 1)),
        Step("ingestion raised by CPU", raised_by_cpu(chart), devices=24),
        Step("kill a pod of each kind", kill_each_service),
        *(Step(f"kill {name}", killing(name)) for name in BACK_ENDS),
        Step("upgrade whose migrations fail", failing_migration(chart, "--set", f"images.tag={next_tag}")),
        Step("upgrade and roll back", upgrading(chart, "--set", f"images.tag={next_tag}")),
    ]
