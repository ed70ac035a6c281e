"""Wallets as files: locked bytes of didymos_did.wallet, mode 0600, replaced whole or not at all. identity.md 3."""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from didymos_did import Cost, DidError, Wallet, lock, parse_strict, unlock
from didymos_did.wallet import ENTROPY_BYTES, WALLET_BYTES

OWNER: Final = "owner"


def new_wallet(names: Iterable[str]) -> Wallet:
    """Independent random seeds under `names`; the one called `owner` owns twins."""
    seeds = {name: secrets.token_bytes(32) for name in names}
    return Wallet(seeds, {}, tuple(name for name in seeds if name == OWNER))


def with_key(wallet: Wallet, name: str) -> Wallet:
    """The wallet with a key of this name; one that is there stays."""
    if name in wallet.seeds:
        return wallet
    return replace(wallet, seeds={**wallet.seeds, name: secrets.token_bytes(32)})


def write_wallet(path: Path, wallet: Wallet, passphrase: str, *, cost: Cost = Cost.STRONG, fresh: bool = False) -> None:
    """Durable when it returns; a wallet that is there is kept as `<name>.bak`. With `fresh` it must not be there.

    Raises FileExistsError, DidError.
    """
    raw = lock(wallet, passphrase, secrets.token_bytes(ENTROPY_BYTES), cost)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        _put(partial, path, fresh=fresh)
    finally:
        partial.unlink(missing_ok=True)


def _put(partial: Path, path: Path, *, fresh: bool) -> None:
    if fresh:
        os.link(partial, path)  # unlike a rename, it never replaces a wallet
    else:
        backup = path.with_name(f"{path.name}.bak")
        with suppress(FileNotFoundError):
            backup.unlink(missing_ok=True)
            os.link(path, backup)
        partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_wallet(path: Path, passphrase: str) -> Wallet:
    """Raises DidError `wallet.cannot_open`, OSError."""
    return unlock(_read(path), passphrase)


def public_part(path: Path) -> dict[str, Any]:
    """What a locked wallet shows to anyone: owners' DIDs and public keys. Raises DidError `wallet.cannot_open`."""
    try:
        said = parse_strict(_read(path), limit=WALLET_BYTES)
        public: dict[str, Any] = said["public"]
    except (KeyError, TypeError, ValueError) as error:
        raise DidError("wallet.cannot_open", "this file is no wallet") from error
    return public


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(WALLET_BYTES + 1)
