"""Pages by position, not by number: a cursor says after which row to go on, and is bound to its query. AIP-158."""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

from didymos_contracts.errors.platform import PLATFORM_MALFORMED
from didymos_did import DidError, jcs, parse_strict
from didymos_did.multibase import b64u, b64u_decode
from fastapi import Query

LIMIT: Final = 50
MOST: Final = 200
CURSOR_BYTES: Final = 1024
_TAG: Final = 16
Row = TypeVar("Row")
Position = tuple[str | int, ...]
Limit = Annotated[int, Query(ge=1, le=MOST)]
CursorQuery = Annotated[str | None, Query(max_length=CURSOR_BYTES)]


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows in order, and the cursor of the next page; None: there is none."""

    rows: tuple[Row, ...]
    next: str | None


class Cursors:
    """Cursors of one kind of listing. `secret`: 32 bytes that all processes of the service share."""

    def __init__(self, secret: bytes, listing: str) -> None:
        self._key = hmac.digest(secret, f"didymos/cursor/v1/{listing}".encode(), "sha256")

    def write(self, position: Position, query: Mapping[str, Any]) -> str:
        """A cursor to go on after `position` in the same query. `query`: all that selects rows, the caller included."""
        body = jcs(list(position))
        return b64u(self._tag(body, query) + body)

    def read(self, cursor: str | None, query: Mapping[str, Any]) -> Position | None:
        """Where to go on; None: from the start. Raises PLATFORM_MALFORMED for a cursor of another query or maker."""
        if cursor is None:
            return None
        try:
            raw = b64u_decode(cursor)
            if hmac.compare_digest(raw[:_TAG], self._tag(raw[_TAG:], query)):
                return tuple(parse_strict(raw[_TAG:]))
        except DidError as error:
            raise PLATFORM_MALFORMED.problem(pointer="?cursor", detail="not a cursor") from error
        raise PLATFORM_MALFORMED.problem(pointer="?cursor", detail="not a cursor of this query")

    def page(
        self, found: Sequence[Row], limit: int, position: Callable[[Row], Position], query: Mapping[str, Any]
    ) -> Page[Row]:
        """A page of `found`, for which the store was asked for `limit + 1` rows after the cursor."""
        rows = tuple(found[:limit])
        more = len(found) > limit
        return Page(rows, self.write(position(rows[-1]), query) if more else None)

    def _tag(self, body: bytes, query: Mapping[str, Any]) -> bytes:
        """Length-prefixed, so that no query can borrow from a body."""
        bound = jcs(dict(query))
        return hmac.digest(self._key, len(bound).to_bytes(8, "big") + bound + body, "sha256")[:_TAG]
