"""Where a house is, how it is called, and the key that a device makes for itself. Standard library only."""

import http.client
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from didymos_did import Did, Ed25519Signer, parse_did

LONGEST_PAUSE: Final = 3600.0


@dataclass(frozen=True, slots=True)
class House:
    """`origin`: of its URLs; `org`: the DID of who operates it, whom batches are meant for."""

    origin: str
    org: Did


def read_house(path: Path) -> House:
    """From the card that `didymos up` writes (`.didymos/house.json`)."""
    said = json.loads(path.read_text())
    return House(str(said["origin"]).rstrip("/"), parse_did(said["org"]))


def open_key(path: Path) -> Ed25519Signer:
    """The device's own key, made the first time. It never leaves the device: the owner enrols its DID."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
    return Ed25519Signer(path.read_bytes())


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` 0: none came, which says nothing of whether the call was taken."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def said(self) -> dict[str, Any]:
        """The members of a JSON object; none of anything else."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def pause_seconds(self) -> float | None:
        """`Retry-After`, seconds or a date (RFC 9110 section 10.2.3); None if it says nothing that can be read."""
        text = self.headers.get("retry-after", "").strip()
        try:
            seconds = float(int(text)) if text.isdecimal() else _until(parsedate_to_datetime(text))
        except (ValueError, TypeError, OverflowError):
            return None
        return min(max(seconds, 0.0), LONGEST_PAUSE)


def _until(at: datetime) -> float:
    return (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


class Line:
    """One kept-alive connection to a house. Not for two threads at once."""

    def __init__(self, origin: str, timeout_seconds: float) -> None:
        where = urlsplit(origin)
        kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
        self._line = kind(where.hostname or "", where.port, timeout=timeout_seconds)

    def call(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        try:
            self._line.request(method, path, body, dict(headers))
            answer = self._line.getresponse()
            return Answer(answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read())
        except (OSError, http.client.HTTPException):
            self._line.close()
            return Answer(0, {}, b"")

    def close(self) -> None:
        self._line.close()
