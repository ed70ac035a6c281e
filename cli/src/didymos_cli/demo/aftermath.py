"""After the run: its page for the buyer, and for one owner what was made of the twin, round by round, with proofs."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

from didymos_cli.demo.stage import Stage
from didymos_cli.demo.training import RUNS, Ran
from didymos_cli.erasure_steps import Public, tell
from didymos_cli.report.run_page import Facts, render

JUDGED_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.5


async def save_run_page(stage: Stage, ran: Ran) -> Path:
    """`run.html`, once the coordinator judged the rounds. Raises TimeoutError."""
    institute, path = stage.client(stage.cast.institute), f"{RUNS}/runs/{ran.run}"
    async with asyncio.timeout(JUDGED_SECONDS):
        while True:
            evaluation = await institute.get(f"{path}/evaluation")
            if evaluation["losses"] is not None:
                break
            await asyncio.sleep(POLL_SECONDS)
    shared = next(model for model in ran.models if model["kind"] == "global")
    card = await institute.get(f"{RUNS}/models/{shared['model']}/card")
    return _kept(stage.folder / "run.html", render(Facts(ran.shown, ran.rounds, evaluation, ran.models, card)))


async def save_erasure_report(stage: Stage) -> str:
    """`erasure.json` for the first owner; `valid` if the log has every round that used the twin, as it was told."""
    person = stage.cast.people[0]
    public = Public(stage.http, stage.card.origin)
    said = await tell(stage.client(person.owner), public, person.twin, stage.folder / "proofs" / "rounds")
    _kept(stage.folder / "erasure.json", json.dumps(said, indent=1) + "\n")
    uses: list[dict[str, Any]] = [use for run in said["runs"] for use in run["rounds"]]
    logged = [str(use.get("proved", "")).startswith("logged") for use in uses if use["outcome"] == "used"]
    stage.say(f"one owner is told: {said['rounds_used']} rounds used the twin, {sum(logged)} of them found in the log")
    return "valid" if logged and all(logged) else "invalid"


def _kept(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
