"""The institute orders the run; sites train where the data lie; everybody waits for its end."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from didymos_contracts.errors import Problem
from didymos_learning import RunSpec, demo_spec

from didymos_cli.client import Client
from didymos_cli.demo.cast import Cast
from didymos_cli.demo.purchase import Bought
from didymos_cli.demo.stage import Stage

RUNS: Final = "/training-orchestration/v1"
POLL_SECONDS: Final = 0.5
GATHER_SECONDS: Final = 180.0
RUN_SECONDS: Final = 600.0
CLIP: Final = 8.0  # masks need a bound of each update
ENDED: Final = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Ran:
    """A completed run: `evaluation` as the sites reported it, `rounds` and `models` as the registry shows them."""

    run: str
    shown: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    rounds: Sequence[Mapping[str, Any]]
    models: Sequence[Mapping[str, Any]]


def spec_of(cast: Cast, validation: Path) -> RunSpec:
    """The run that the demo buys."""
    digest = sha256(validation.read_bytes()).digest()
    spec = demo_spec(cast.secret("run"), sites=len(cast.sites), subjects=len(cast.people), validation=digest)
    return spec if spec.local.clip is not None else replace(spec, local=replace(spec.local, clip=CLIP))


async def train(stage: Stage, bought: Bought, spec: RunSpec, check: Callable[[], None]) -> Ran:
    """`check` raises when a site is gone. Raises RuntimeError for a run that fails, TimeoutError."""
    institute = stage.client(stage.cast.institute)
    run = await begin(stage, bought, spec, check)
    async with asyncio.timeout(RUN_SECONDS):
        shown = await _followed(stage, institute, run, check)
    if shown["state"] != "completed":
        raise RuntimeError(f"the run {shown['state']}: {shown['reason']}")
    path = f"{RUNS}/runs/{run}"
    return Ran(
        run, shown, await institute.get(f"{path}/evaluation"), (await institute.get(f"{path}/rounds"))["rounds"],
        (await institute.get(f"{RUNS}/models", run=run))["models"],
    )  # fmt: skip


def _nothing() -> None:
    """Nobody looks after the sites."""


async def begin(stage: Stage, bought: Bought, spec: RunSpec, check: Callable[[], None] = _nothing) -> str:
    """The id of a run that started once all sites were there. Raises TimeoutError."""
    institute = stage.client(stage.cast.institute)
    await _gathered(stage, institute, check)
    body = {"agreement": bought.agreement, "spec": msgspec.json.decode(spec.to_json())}
    run: str = (await institute.post(f"{RUNS}/runs", body))["run"]
    await _started(institute, run)
    return run


async def _gathered(stage: Stage, institute: Client, check: Callable[[], None]) -> None:
    """Until all sites are dialled in."""
    wanted = {site.signer.did for site in stage.cast.sites}
    async with asyncio.timeout(GATHER_SECONDS):
        while True:
            check()
            there = {one["site"] for one in (await institute.get(f"{RUNS}/sites"))["sites"]}
            if wanted <= there:
                break
            await asyncio.sleep(POLL_SECONDS)
    stage.say(f"{len(wanted)} sites are dialled in: processes of their own, which nothing listens in")


async def _started(institute: Client, run: str) -> None:
    """A cohort that is too small now may be large enough once the sites' first heartbeats are in."""
    async with asyncio.timeout(GATHER_SECONDS):
        while True:
            try:
                await institute.post(f"{RUNS}/runs/{run}/start", None)
            except Problem as problem:
                if problem.row.retry != "later":
                    raise
                await asyncio.sleep(POLL_SECONDS)
            else:
                return


async def _followed(stage: Stage, institute: Client, run: str, check: Callable[[], None]) -> Mapping[str, Any]:
    told = 0
    while True:
        check()
        shown: Mapping[str, Any] = {}
        with suppress(TimeoutError):
            shown = await institute.get(f"{RUNS}/runs/{run}")
        if shown and shown["committed"] > told:
            told = shown["committed"]
            stage.say(f"round {told} of {shown['rounds']}: masked updates of all sites were added up")
        if shown and shown["state"] in ENDED:
            return shown
        await asyncio.sleep(POLL_SECONDS)
