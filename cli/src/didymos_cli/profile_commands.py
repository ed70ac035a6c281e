"""`didymos profiles`: kinds of device and twin that a house knows, and new ones."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from didymos_cli.owner_commands import CARD, HousePath
from didymos_cli.wallet_commands import PassphraseFile, passphrase_of

app = typer.Typer(
    no_args_is_help=True, help="Profiles: what the properties of a kind of device are. Publish, list, show."
)
WalletPath = Annotated[Path, typer.Argument(dir_okay=False, help="Your wallet; its key owner signs and asks.")]


def _say(said: object) -> None:
    sys.stdout.write(json.dumps(said, indent=2) + "\n")


@app.command()
def publish(
    wallet: WalletPath,
    document: Annotated[
        Path, typer.Argument(dir_okay=False, help="The profile, as JSON. One with a proof goes as it is.")
    ],
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Sign a profile and publish it, for good. Who may: the setting DIDYMOS_TWIN_STATE__PUBLISHERS; others: exit 3."""
    from didymos_cli import owner_steps, profile_steps

    step = profile_steps.publish(document)
    _say(owner_steps.run(step, wallet, house, passphrase_of(passphrase_file)))


@app.command("list")
def list_all(wallet: WalletPath, house: HousePath = CARD, passphrase_file: PassphraseFile = None) -> None:
    """The profiles that twins can be made under, and who signed each; null: it comes with the house."""
    from didymos_cli import owner_steps, profile_steps

    _say(owner_steps.run(profile_steps.listed, wallet, house, passphrase_of(passphrase_file)))


@app.command()
def show(
    wallet: WalletPath,
    profile: Annotated[str, typer.Argument(help="As id@version.")],
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """What a profile says. Of a published one the proof is checked here, whatever the house says: exit 3."""
    from didymos_cli import owner_steps, profile_steps

    _say(owner_steps.run(profile_steps.show(profile), wallet, house, passphrase_of(passphrase_file)))
