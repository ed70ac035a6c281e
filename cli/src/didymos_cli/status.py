"""`didymos status`: does the house of a card answer?"""

import json
import sys
import time
from pathlib import Path
from typing import Final

import httpx
from didymos_contracts.errors import Problem

from didymos_cli.card import Card, read_card

POLL_SECONDS: Final = 0.5
ASK_SECONDS: Final = 2.0


def ask(house: Path, wait_seconds: float) -> int:
    """0 once it answers, 4 if it does not within the time."""
    end = time.monotonic() + wait_seconds
    while True:
        card, why = _card(house)
        if card is not None and _answers(card):
            sys.stdout.write(json.dumps({"origin": card.origin, "grpc": card.grpc, "org": card.org}) + "\n")
            return 0
        if time.monotonic() >= end:
            sys.stderr.write(f"{why or 'the house does not answer'}\n")
            return 4
        time.sleep(POLL_SECONDS)


def _card(house: Path) -> tuple[Card | None, str]:
    try:
        return read_card(house), ""
    except Problem as problem:
        return None, str(problem)


def _answers(card: Card) -> bool:
    """Whether identity resolves the organisation of the house: who does that is up, and is this house."""
    try:
        url = f"{card.origin}/identity/v1/dids/{card.org}"
        return httpx.get(url, timeout=ASK_SECONDS, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
