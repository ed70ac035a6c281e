"""What `didymos runs` shows."""

from pathlib import Path
from typing import Any, Final

from didymos_client import Client, Run
from rich.console import Console
from rich.live import Live
from rich.table import Table

from didymos_cli.card import read_card
from didymos_cli.report.run_page import Facts, render
from didymos_cli.wallet import read_wallet

SHOWN: Final = 12  # rounds


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
    for name in ("round", "attempt", "state", "accepted", "expected", "parameters"):
        made.add_column(name, justify="left" if name in ("state", "parameters") else "right")
    for one in rounds[-SHOWN:]:
        made.add_row(
            str(one["round"]), str(one["attempt"]), one["state"], str(one["accepted"]), str(one["expected"]),
            one["params_digest"][:12],
        )  # fmt: skip
    return made


def page_of(run: Run) -> str:
    """The report page of a run, from what its buyer may see."""
    return render(Facts(run.show(), run.rounds(), run.evaluation(), [model.shown for model in run.models()]))
