"""`didymos twin`: what an owner does with a twin, by hand."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from didymos_cli.wallet_commands import PassphraseFile, passphrase_of

app = typer.Typer(no_args_is_help=True, help="Your twin: make it, send readings, look at it, grant and revoke.")
WalletPath = Annotated[Path, typer.Argument(dir_okay=False, help="Your wallet, with the keys owner, twin and device.")]
HousePath = Annotated[
    Path, typer.Option("--house", dir_okay=False, help="The card of the house, as `didymos up` writes.")
]
CARD = Path(".didymos/house.json")


def _say(said: object) -> None:
    sys.stdout.write(json.dumps(said, indent=2, default=str) + "\n")


@app.command()
def new(
    wallet: WalletPath,
    profile: Annotated[str, typer.Option(help="What its readings mean, as id@version.")] = "glucose@1",
    path: Annotated[list[str], typer.Option(help="Paths that the device may send.")] = ["features/**"],  # noqa: B006
    alias: Annotated[list[str], typer.Option(help="What the device calls the twin, such as Patient/17.")] = [],  # noqa: B006
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Register the twin as yours, make it, and enrol the device of the wallet."""
    from didymos_cli import owner_steps

    step = owner_steps.make_twin(profile, tuple(path), tuple(alias))
    _say(owner_steps.run(step, wallet, house, passphrase_of(passphrase_file)))


@app.command()
def enrol(
    wallet: WalletPath,
    device: Annotated[str, typer.Argument(help="DID of the device: it made its key itself.")],
    profile: Annotated[str, typer.Option(help="What its readings mean, as id@version.")] = "glucose@1",
    path: Annotated[list[str], typer.Option(help="Paths that it may send.")] = ["features/**"],  # noqa: B006
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Let one more device send readings of the twin, for a year."""
    from didymos_cli import owner_steps

    step = owner_steps.enrol(device, profile, tuple(path))
    _say(owner_steps.run(step, wallet, house, passphrase_of(passphrase_file)))


@app.command()
def send(
    wallet: WalletPath,
    readings: Annotated[Path, typer.Argument(dir_okay=False, help="CSV with a header: time (with its zone), value.")],
    property_: Annotated[str, typer.Option("--property", help="What was measured.")] = "glucose/level",
    unit: Annotated[str, typer.Option(help="UCUM unit of the values; it is converted.")] = "mg/dL",
    profile: Annotated[str, typer.Option(help="What the readings mean, as id@version.")] = "glucose@1",
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Sign the readings of a file as the device, and send them."""
    from didymos_cli import owner_steps

    step = owner_steps.send_file(readings, property_, unit, profile)
    _say(owner_steps.run(step, wallet, house, passphrase_of(passphrase_file)))


@app.command()
def show(
    wallet: WalletPath,
    history: Annotated[str, typer.Option(help="Show the past of this property instead of the twin.")] = "",
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Show the twin as its owner sees it."""
    from didymos_cli import owner_steps

    _say(owner_steps.run(owner_steps.look(history), wallet, house, passphrase_of(passphrase_file)))


@app.command()
def read(
    wallet: Annotated[Path, typer.Argument(dir_okay=False, help="Wallet of whoever reads; its key `owner` is used.")],
    twin: Annotated[str, typer.Argument(help="DID of somebody else's twin.")],
    purpose: Annotated[
        str, typer.Option(help="What for; it must be the purpose that was granted.")
    ] = "ScientificResearch",
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Read a twin that its owner granted you. Without a grant it is as if it were not there: exit 3."""
    from didymos_cli import owner_steps

    _say(owner_steps.run(owner_steps.read_other(twin, purpose), wallet, house, passphrase_of(passphrase_file)))


@app.command()
def prove(
    wallet: WalletPath,
    grant_id: Annotated[str, typer.Argument(help="The grant, as `grant` printed it.")],
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for the bundle and the two files of trust.")
    ] = Path("proofs"),
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Save a proof bundle of a grant: that it was given, when, and whether it was taken back. See `didymos verify`."""
    from didymos_cli import owner_steps

    _say(owner_steps.run(owner_steps.save_proof(grant_id, out), wallet, house, passphrase_of(passphrase_file)))


@app.command()
def grant(  # noqa: PLR0913, PLR0917 - options of a command line
    wallet: WalletPath,
    to: Annotated[str, typer.Option(help="DID of whoever may.")],
    action: Annotated[list[str], typer.Option(help="read, subscribe, history or train; again for several.")],
    path: Annotated[list[str], typer.Option(help="Such as features/glucose/**.")],
    purpose: Annotated[str, typer.Option(help="A purpose of the Data Privacy Vocabulary.")] = "ScientificResearch",
    days: Annotated[int, typer.Option(min=1, max=366, help="How long.")] = 30,
    reads: Annotated[int, typer.Option(min=0, help="How many reads in all.")] = 1000,
    rounds: Annotated[
        int, typer.Option(min=0, help="To train: in how many rounds; the task is the 30-minute forecast.")
    ] = 0,
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Sign a grant with the owner's key, and register it. It is kept in the wallet."""
    from didymos_cli import owner_steps

    said = owner_steps.Asked(to, tuple(action), tuple(path), purpose, days, reads, rounds)
    _say(owner_steps.run(owner_steps.give(said), wallet, house, passphrase_of(passphrase_file)))


@app.command()
def revoke(
    wallet: WalletPath,
    grant_id: Annotated[str, typer.Argument(help="The grant, as `grant` printed it.")],
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """End a grant for good. Every service denies within a second."""
    from didymos_cli import owner_steps

    _say(owner_steps.run(owner_steps.take_back(grant_id), wallet, house, passphrase_of(passphrase_file)))


@app.command("erasure-report")
def erasure_report(
    wallet: WalletPath,
    proofs: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder for a checked proof of each round that used the twin.")
    ] = None,
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Which runs, rounds and models used your twin, what an erasure destroys, and what it cannot."""
    from didymos_cli import erasure_steps, owner_steps

    _say(owner_steps.run(erasure_steps.report(proofs), wallet, house, passphrase_of(passphrase_file)))


@app.command()
def erase(
    wallet: WalletPath,
    twin: Annotated[str, typer.Option(help="The DID of the twin, so that it is meant: nobody can undo it.")],
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Destroy the keys of your twin for ever: its readings, state and own models are gone, its grants end."""
    from didymos_cli import erasure_steps, owner_steps

    _say(owner_steps.run(erasure_steps.erase(twin), wallet, house, passphrase_of(passphrase_file)))
