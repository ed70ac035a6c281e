"""`didymos wallet`: key files of owners, devices, buyers and sites. The platform never sees what is in them."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Key files, locked by a passphrase.")
WalletPath = Annotated[Path, typer.Argument(dir_okay=False, help="The wallet file.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", dir_okay=False, help="Read the passphrase from here; else asked for."),
]


def passphrase_of(file: Path | None, *, confirm: bool = False) -> str:
    """The first line of `file`, or what is typed."""
    if file is not None:
        return file.read_text().partition("\n")[0]
    return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm))


@app.command()
def new(
    path: WalletPath,
    key: Annotated[list[str], typer.Option(help="Names of the keys to make.")] = ["owner", "twin", "device"],  # noqa: B006 - typer reads it
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a wallet with fresh keys. A file that is there is never replaced."""
    from didymos_cli.wallet import new_wallet, write_wallet

    try:
        write_wallet(path, new_wallet(key), passphrase_of(passphrase_file, confirm=True), fresh=True)
    except FileExistsError:
        typer.echo(f"{path}: a file is there already; it may hold the only copy of its keys", err=True)
        raise typer.Exit(2) from None
    show(path, passphrase_file)


@app.command()
def show(
    path: WalletPath,
    passphrase_file: PassphraseFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Show the public part of a wallet. No passphrase is needed; with one, keys are shown by name. Never a secret."""
    from didymos_cli.wallet import public_part, read_wallet

    try:
        said = public_part(path)
        if passphrase_file is not None:
            wallet = read_wallet(path, passphrase_of(passphrase_file))
            said["names"] = {name: str(wallet.signer(name).did) for name in sorted(wallet.seeds)}
    except OSError as error:
        typer.echo(f"{error.filename}: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    if as_json:
        sys.stdout.write(json.dumps(said, indent=2) + "\n")
        return
    named = said.get("names") or {f"key {at}": one["id"].partition("#")[0] for at, one in enumerate(said["keys"], 1)}
    for name, did in named.items():
        typer.echo(f"{name:10} {did}")
