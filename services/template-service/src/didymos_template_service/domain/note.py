"""A note about a twin."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from didymos_did import Did, TwinId

LONGEST: Final = 1000  # characters


class Refused(Enum):
    """Why a note is not kept."""

    NOT_THE_OWNER = "not_the_owner"
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class Note:
    twin: TwinId
    text: str
    written_at: datetime


def write(twin: TwinId, text: str, writer: Did, owner: Did | None, at: datetime) -> Note | Refused:
    """The note, if `writer` owns the twin and the text is short enough."""
    if owner is None or writer != owner:
        return Refused.NOT_THE_OWNER
    if len(text) > LONGEST:
        return Refused.TOO_LONG
    return Note(twin, text, at)
