"""The one error of this library."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class DidError(ValueError):
    """Input that is not what it must be. `code` is a row of the error catalogue; `detail` says what and where."""

    def __init__(self, code: str, detail: str, **values: Any) -> None:  # noqa: ANN401 - figures of the case
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.values = {"detail": detail, **values}


@contextmanager
def pointing(pointer: str) -> Iterator[None]:
    """A refusal inside says that it is about `pointer` (RFC 6901), unless it points deeper already."""
    try:
        yield
    except DidError as error:
        values = {name: value for name, value in error.values.items() if name != "detail"}
        raise DidError(error.code, error.detail, **{"pointer": pointer, **values}) from error
