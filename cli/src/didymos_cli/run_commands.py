"""`didymos runs`: a training run in the terminal, and as a page."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from didymos_cli.wallet_commands import PassphraseFile, passphrase_of

app = typer.Typer(no_args_is_help=True, help="Training runs that you ordered: watch them, print what came of them.")
Named = Annotated[str, typer.Argument(help="Its id, as the house gave it.")]
WalletPath = Annotated[Path, typer.Argument(dir_okay=False, help="Your wallet; its key owner ordered the run.")]
HousePath = Annotated[
    Path, typer.Option("--house", dir_okay=False, help="The card of the house, as `didymos up` writes.")
]
CARD = Path(".didymos/house.json")


@app.command("watch")
def watch_run(run: Named, wallet: WalletPath, house: HousePath = CARD, passphrase_file: PassphraseFile = None) -> None:
    """Each round as it is committed, until the run ends. Exit 0 completed, 1 failed or cancelled."""
    from rich.console import Console

    from didymos_cli.runs import opened, watch

    with opened(wallet, house, passphrase_of(passphrase_file)) as client:
        raise typer.Exit(watch(client.run(run), Console()))


@app.command()
def report(
    run: Named,
    wallet: WalletPath,
    out: Annotated[Path, typer.Option(dir_okay=False, help="The page: HTML that loads nothing.")] = Path("run.html"),
    groups: Annotated[
        Path | None, typer.Option(dir_okay=False, help="CSV with twin and group: gaps between groups of 10 or more.")
    ] = None,
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Loss by round, errors of every twin, gains, tenths, gaps, drift, and who took part when, as a page."""
    from didymos_cli.runs import opened, page_of

    with opened(wallet, house, passphrase_of(passphrase_file)) as client:
        out.write_text(page_of(client.run(run), groups))
    sys.stdout.write(f"{out}\n")
