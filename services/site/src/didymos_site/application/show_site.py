"""What the owner of a site sees: who it is, whose data it has, what was booked, and what it refused."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from didymos_did import Did, Grant, GrantId, TwinId, parse_site_enrolment

from didymos_site.domain.subject import Subject


class Shelf(Protocol):
    """A folder, to look at."""

    def subjects(self) -> Mapping[TwinId, Subject]: ...

    def grants(self) -> Sequence[Grant]: ...

    def enrolment(self) -> bytes: ...


class Book(Protocol):
    """A store, to look at."""

    def booked(self, run: str, round_: int) -> Mapping[GrantId, int]: ...

    def rounds(self) -> Sequence[tuple[str, int, int]]: ...

    def refusals(self) -> Sequence[tuple[int, str, int, str, str]]: ...


def status(site: Did, shelf: Shelf, book: Book) -> dict[str, Any]:
    """Who this is, until when, and the runs that it took part in. Raises as the folder does."""
    enrolment = parse_site_enrolment(shelf.enrolment())
    return {
        "site": site,
        "organisation": enrolment.organisation,
        "enrolled_until": enrolment.valid_until.isoformat(),
        "subjects": [
            {"twin": subject.twin, "series": subject.series, "placement": subject.placement.value}
            for subject in shelf.subjects().values()
        ],
        "runs": [{"run": run, "sent": sent, "committed": committed} for run, sent, committed in book.rounds()],
        "refusals": len(book.refusals()),
    }


def budget(shelf: Shelf, book: Book) -> list[dict[str, Any]]:
    """Rounds of each grant in the folder: granted, booked here, and left."""
    booked = book.booked("", 0)
    lines = []
    for grant in sorted(shelf.grants(), key=lambda each: each.id):
        most = min(grant.terms.budget.rounds, grant.terms.budget.exact_rounds)
        used = booked.get(grant.id, 0)
        lines.append({
            "grant": grant.id, "twin": grant.twin, "grantee": grant.grantee, "rounds": most, "booked": used,
            "left": max(most - used, 0), "until": grant.terms.valid_until.isoformat(),
        })  # fmt: skip
    return lines


def refusals(book: Book) -> list[dict[str, Any]]:
    """The newest first."""
    return [
        {"at": datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(), "run": run, "round": round_, "step": step,
         "code": code}
        for at_us, run, round_, step, code in book.refusals()
    ]  # fmt: skip
