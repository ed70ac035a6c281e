"""`didymos device`: what a device without the SDK needs, which is a signature over its request."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from didymos_cli.owner_commands import CARD, HousePath
from didymos_cli.wallet_commands import PassphraseFile, passphrase_of

app = typer.Typer(no_args_is_help=True, help="Devices that speak HTTP: sign a request, send it with curl.")
MOST = 2**63 - 1


@app.callback()
def device() -> None:
    """A group, though it has one command."""


@app.command()
def sign(  # noqa: PLR0913, PLR0917 - options of a command line
    wallet: Annotated[Path, typer.Argument(dir_okay=False, help="The wallet with the key of the device.")],
    body: Annotated[Path, typer.Argument(dir_okay=False, help="What will be sent, byte for byte.")],
    type_: Annotated[str, typer.Option("--type", help="Its media type, such as application/fhir+json.")],
    key: Annotated[str, typer.Option(help="Name of the device's key in the wallet.")] = "device",
    profile: Annotated[str, typer.Option(help="id@version that is sent along as ?profile=.")] = "",
    number: Annotated[int, typer.Option(min=0, max=MOST, help="Plus one with each request, or 0.")] = 0,
    stream: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Boot counter of the device.")] = 0,
    backfill: Annotated[bool, typer.Option("--backfill", help="Old by intent: not scored for being late.")] = False,  # noqa: FBT002 - a flag
    header: Annotated[
        list[str] | None, typer.Option(help="One more header to sign and send, as `name: value`; again for several.")
    ] = None,
    house: HousePath = CARD,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Print the headers that prove who sends the body, for 5 minutes: `curl -H @headers --data-binary @body`."""
    from didymos_cli.device_requests import Asked, signed_headers

    asked = Asked(type_, profile, stream, number, backfill, tuple(header or ()))
    for name, value in signed_headers(wallet, passphrase_of(passphrase_file), key, body, house, asked).items():
        sys.stdout.write(f"{name}: {value}\n")
