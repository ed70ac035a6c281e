"""The standing of a subject: suspended ones are out within a second."""

from dataclasses import dataclass, replace

from didymos_did import Did, SubjectStatus


@dataclass(frozen=True, slots=True)
class Subject:
    """`kind` is empty when nothing more is known here than the DID."""

    did: Did
    kind: str
    status: SubjectStatus = SubjectStatus.ACTIVE
    revision: int = 0


def with_status(subject: Subject, status: SubjectStatus) -> Subject:
    """The same again changes nothing."""
    if subject.status is status:
        return subject
    return replace(subject, status=status, revision=subject.revision + 1)
