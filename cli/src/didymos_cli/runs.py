"""What `didymos runs` shows."""

import csv
import time
from pathlib import Path
from typing import Any, Final

from didymos_client import Client, Run
from didymos_client.session import ENDED
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from didymos_cli.card import read_card
from didymos_cli.report.run_page import Facts, render
from didymos_cli.report.run_together import in_short
from didymos_cli.wallet import read_wallet

SHOWN: Final = 12  # rounds
JUDGED_SECONDS: Final = 30.0


def opened(wallet: Path, house: Path, passphrase: str) -> Client:
    """The house of the card, as the owner of the wallet. Raises Problem, DidError, OSError."""
    return Client(read_card(house).origin, read_wallet(wallet, passphrase).signer("owner"))


def watch(run: Run, console: Console) -> int:
    """Until the run ended; the exit code."""
    shown: dict[str, Any] = {}
    with Live(console=console, auto_refresh=False) as live:
        for shown in run.follow():
            live.update(table(shown, run.rounds()), refresh=True)
    return 0 if shown.get("state") == "completed" else 1


def table(shown: dict[str, Any], rounds: list[dict[str, Any]]) -> Table:
    """Where a run stands, with its newest rounds."""
    why = f": {shown['reason']}" if shown["reason"] else ""
    title = f"{shown['run']}: {shown['state']}{why}, {shown['committed']} of {shown['rounds']} rounds"
    made = Table(title=title, caption=f"masking {shown['masking']}, clients {shown['clients']}")
    evaluated = any(one.get("evaluation") for one in rounds)
    names = [
        "round",
        "attempt",
        "state",
        "accepted",
        "expected",
        "parameters",
        *(["median error"] if evaluated else []),
    ]
    for name in names:
        made.add_column(name, justify="left" if name in ("state", "parameters", "median error") else "right")
    for one in rounds[-SHOWN:]:
        made.add_row(
            str(one["round"]), str(one["attempt"]), one["state"], str(one["accepted"]), str(one["expected"]),
            one["params_digest"][:12], *([in_short(one.get("evaluation"))] if evaluated else []),
        )  # fmt: skip
    return made


def page_of(run: Run, groups: Path | None = None, patience: float = JUDGED_SECONDS) -> str:
    """The report page of a run, from what its buyer may see; an ended run is judged within seconds, which are waited.

    `groups`: a CSV with the columns `twin` and `group`. Raises Problem, OSError.
    """
    shown, until = run.show(), time.monotonic() + patience
    while (evaluation := run.evaluation())["losses"] is None and shown["state"] in ENDED and time.monotonic() < until:
        time.sleep(0.5)
    models = run.models()
    shared = next((model for model in models if model.shown["kind"] == "global"), None)
    card = None if shared is None else shared.card()
    facts = Facts(
        shown, run.rounds(), evaluation, [model.shown for model in models], card, {} if groups is None else read(groups)
    )
    return render(facts)


def read(groups: Path) -> dict[str, str]:
    """Twin to group. Raises PLATFORM_INVALID_FIELD for a file without these columns."""
    with groups.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"twin", "group"} <= rows[0].keys():
        raise PLATFORM_INVALID_FIELD.problem(pointer=str(groups), detail="a CSV with the columns twin and group")
    return {row["twin"]: row["group"] for row in rows if row["twin"] and row["group"]}
