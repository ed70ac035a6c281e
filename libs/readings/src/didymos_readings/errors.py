"""What can go wrong with readings, as data: an exception for callers' mistakes, a refusal for foreign input."""

from dataclasses import dataclass
from typing import Any


class ReadingError(ValueError):
    """Bytes or values that break a rule of this library. `code` is a row of the error catalogue."""

    def __init__(self, code: str, detail: str, **values: Any) -> None:  # noqa: ANN401 - figures of the message
        super().__init__(code, detail, values)
        self.code = code
        self.detail = detail
        self.values = values

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Readings `index` to `index + count - 1` were not accepted. `count` 0: the batch as a whole. data-path.md 7.

    The detail names rules, bounds and units, never a value: it may be stored in clear.
    """

    code: str
    detail: str
    index: int = 0
    count: int = 0
