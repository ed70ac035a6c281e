"""The one error of this library."""

from typing import Any


class DidError(ValueError):
    """Input that is not what it must be. `code` is a row of the error catalogue; `detail` says what and where."""

    def __init__(self, code: str, detail: str, **values: Any) -> None:  # noqa: ANN401 - figures of the case
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.values = {"detail": detail, **values}
