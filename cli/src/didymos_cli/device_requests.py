"""Requests that a device signs with the key in a wallet. RFC 9421, as ingestion asks for it."""

import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_readings import Request, sign_request

from didymos_cli.card import read_card
from didymos_cli.device import PATH
from didymos_cli.wallet import read_wallet


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the command line says it. `headers`: each `name: value`."""

    media: str
    profile: str
    stream: int
    number: int
    backfill: bool
    headers: tuple[str, ...]


def signed_headers(wallet: Path, passphrase: str, key: str, body: Path, house: Path, asked: Asked) -> dict[str, str]:
    """All headers to send. Raises Problem, DidError, OSError."""
    opened, card = read_wallet(wallet, passphrase), read_card(house)
    if key not in opened.seeds:
        raise PLATFORM_INVALID_FIELD.problem(pointer="--key", detail="the wallet has no key of this name")
    fields = {"content-type": asked.media, **dict(_header(text) for text in asked.headers)}
    if asked.number or asked.stream:
        fields |= {"didymos-stream": str(asked.stream), "didymos-number": str(asked.number)}
    if asked.backfill:
        fields["didymos-backfill"] = "true"
    query = f"?profile={quote(asked.profile, safe='@')}" if asked.profile else ""
    request = Request("POST", f"{card.origin}{PATH}{query}", fields, body.read_bytes())
    return {**fields, **sign_request(request, opened.signer(key), int(time.time()))}


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not text.isprintable():
        raise PLATFORM_INVALID_FIELD.problem(pointer="--header", detail="a header is `name: value`")
    return name.strip().lower(), value.strip()
