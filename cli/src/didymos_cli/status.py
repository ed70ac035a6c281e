"""`didymos status`: does the house of a card answer, and what do its processes say of themselves?"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

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


def tell(admins: Sequence[str], *, as_json: bool) -> int:
    """What each process says at `/status` of its admin port. 0 all are ready, 1 one is not, 4 one does not answer."""
    code, said = 0, {}
    for admin in admins:
        try:
            answer = httpx.get(f"{admin.rstrip('/')}/status", timeout=ASK_SECONDS, trust_env=False)
            said[admin] = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            sys.stderr.write(f"{admin} does not answer: {type(error).__name__}; is it an admin port?\n")
            code = 4
    if as_json:
        sys.stdout.write(json.dumps(said) + "\n")
    else:
        for admin, one in said.items():
            sys.stdout.write("\n".join(_lines(admin, one)) + "\n")
    return code or (0 if all(one["ready"] for one in said.values()) else 1)


def _lines(admin: str, said: Mapping[str, Any]) -> Iterator[str]:
    reasons = "; ".join(f"{at}: {why}" for at, why in said["reasons"].items())
    yield f"{admin}  {'ready' if said['ready'] else f'not ready: {reasons}'}"
    for area, lines in said["areas"].items():
        yield f"  {area}"
        for name, value in lines.items():
            yield f"    {name:34} {_shown(value)}"


def _shown(value: Any) -> str:  # noqa: ANN401 - as JSON says it
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items()) or "none"
    return "not known yet" if value is None else f"{value:,.10g}"
