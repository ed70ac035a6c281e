"""`didymos site`: a folder with private data becomes a site that trains where the data lie."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from didymos_cli.wallet_commands import PassphraseFile, passphrase_of

app = typer.Typer(
    no_args_is_help=True, help="A site: private data, local training, masked updates. Nothing listens there."
)
SitePath = Annotated[Path, typer.Argument(file_okay=False, help="The folder of the site.")]
HousePath = Annotated[
    Path, typer.Option("--house", dir_okay=False, help="The card of the house, as `didymos up` writes.")
]
CARD = Path(".didymos/house.json")


@app.command()
def enrol(folder: SitePath) -> None:
    """Make the key of the site, and print the DID for which an organisation signs its enrolment."""
    from didymos_cli.site_steps import make_site

    sys.stdout.write(f"{make_site(folder)}\n")


@app.command()
def admit(
    folder: SitePath,
    data: Annotated[Path, typer.Option(file_okay=False, help="The data folder of the house that admits.")] = Path(
        ".didymos"
    ),
) -> None:
    """As the organisation that operates a house: sign the enrolment of a site, into its folder."""
    from didymos_cli.site_steps import admit_site

    sys.stdout.write(f"{admit_site(folder, data)}\n")


@app.command()
def add(
    folder: SitePath,
    wallet: Annotated[
        Path, typer.Argument(dir_okay=False, help="Wallet of the owner; its grants to train are copied.")
    ],
    series: Annotated[Path, typer.Argument(dir_okay=False, help="CSV with the columns id, time, gl; it is copied.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Put somebody's data into a site: the series, and the grants under which it may be learned from."""
    from didymos_cli.site_steps import add_subject

    sys.stdout.write(f"{add_subject(folder, wallet, series, passphrase_of(passphrase_file))}\n")


@app.command()
def run(folder: SitePath, house: HousePath = CARD) -> None:
    """Dial the house and train what owners allow, until a signal."""
    from didymos_cli.site_steps import run_site

    run_site(folder, house)
