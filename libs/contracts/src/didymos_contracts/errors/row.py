"""The two classes of the error catalogue: a row of data, and a problem raised from it."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Retry: TypeAlias = Literal["never", "refresh", "later"]
GrpcStatus: TypeAlias = Literal[
    "INVALID_ARGUMENT",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "ABORTED",
    "FAILED_PRECONDITION",
    "RESOURCE_EXHAUSTED",
    "OUT_OF_RANGE",
    "DATA_LOSS",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
]


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A row of the catalogue with the values of this case. REST, gRPC and CLI print it from here."""

    def __init__(self, row: "Row", values: dict[str, Any]) -> None:
        super().__init__(row.code, values)
        self.row = row
        self.values = values

    def __str__(self) -> str:
        said = ", ".join(f"{name}={value}" for name, value in self.values.items())
        return f"{self.row.code}: {self.row.title}" + (f" ({said})" if said else "")


@dataclass(frozen=True, slots=True)
class Row:
    """One error of the catalogue: its code, HTTP status (RFC 9457), gRPC status, and whether to try again."""

    code: str
    http: int
    grpc: GrpcStatus
    retry: Retry
    title: str

    def problem(self, **values: Any) -> Problem:  # noqa: ANN401 - whatever the case has to say
        """`pointer` and `detail` among the values say where and what; the rest says with which figures."""
        return Problem(self, values)
