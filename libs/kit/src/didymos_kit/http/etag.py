"""Conditional requests (RFC 9110 section 13): the revision of a resource as its strong ETag."""

import re
from dataclasses import dataclass
from typing import Annotated, Final

from didymos_contracts.errors.platform import PLATFORM_MALFORMED, PLATFORM_PRECONDITION_REQUIRED, PLATFORM_STALE
from fastapi import Depends, Request

_TAG: Final = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')


def etag(revision: int) -> str:
    """The ETag of a revision, for the header of that name."""
    return f'"{revision}"'


@dataclass(frozen=True, slots=True)
class IfMatch:
    """What the caller says it has seen. `tags` is None for `*`: any revision, as long as there is one."""

    tags: frozenset[str] | None

    def check(self, revision: int) -> None:
        """Raises PLATFORM_STALE unless `revision` is one that the caller has seen."""
        if self.tags is not None and str(revision) not in self.tags:
            raise PLATFORM_STALE.problem(expected=sorted(self.tags), actual=str(revision))

    @property
    def revision(self) -> int | None:
        """The one revision that is expected; None for `*`. Raises PLATFORM_MALFORMED for a list or no number."""
        if self.tags is None:
            return None
        if len(self.tags) != 1 or not (tag := next(iter(self.tags))).isdecimal() or len(tag) > 19:
            raise PLATFORM_MALFORMED.problem(pointer="If-Match:", detail="one ETag of this resource is expected")
        return int(tag)


def parse_tags(header: str) -> list[tuple[bool, str]]:
    """(weak, tag) of an entity-tag list. Raises PLATFORM_MALFORMED."""
    found, at = [], 0
    while at < len(header):
        match = _TAG.match(header, at)
        if match is None:
            raise PLATFORM_MALFORMED.problem(pointer="If-Match:", detail="not a list of entity tags")
        found.append((match[1] is not None, match[2]))
        at = match.end()
    return found


async def if_match(request: Request) -> IfMatch:
    """Raises PLATFORM_PRECONDITION_REQUIRED without the header, PLATFORM_MALFORMED for one that cannot be read."""
    said = ",".join(request.headers.getlist("if-match")).strip()
    if not said:
        raise PLATFORM_PRECONDITION_REQUIRED.problem()
    if said == "*":
        return IfMatch(None)
    return IfMatch(frozenset(tag for weak, tag in parse_tags(said) if not weak))  # a weak tag never matches (13.1.1)


def is_known(request: Request, revision: int) -> bool:
    """Whether `If-None-Match` names this revision, so that 304 is the answer (weak comparison, 13.1.2)."""
    said = ",".join(request.headers.getlist("if-none-match")).strip()
    return said == "*" or (bool(said) and str(revision) in {tag for _, tag in parse_tags(said)})


IfMatchHeader = Annotated[IfMatch, Depends(if_match)]
