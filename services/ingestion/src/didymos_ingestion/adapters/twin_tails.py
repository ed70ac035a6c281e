"""The life of twins and their profiles, from the tails of twin-state's topics."""

from didymos.twin.v1.twin_events_pb2 import ProfilePublished, TwinLifecycleChanged
from didymos.twin.v1.twin_types_pb2 import Lifecycle
from didymos_did import TwinId
from didymos_kit import log
from didymos_kit.eventlog import Stored
from didymos_readings import Profile, ProfileBook, ReadingError

CLOSED = frozenset({Lifecycle.LIFECYCLE_SUSPENDED, Lifecycle.LIFECYCLE_RETIRED, Lifecycle.LIFECYCLE_ERASED})


class LifecycleTable:
    """The `Lifecycles` port. Blind to order and repeats: the higher revision holds."""

    def __init__(self) -> None:
        self._revisions: dict[str, int] = {}
        self._closed: set[str] = set()

    def apply(self, record: Stored) -> None:
        """Raises DecodeError for bytes that are no TwinLifecycleChanged: the tail halts."""
        if record.value is None:
            return
        said = TwinLifecycleChanged.FromString(record.value)
        if said.revision <= self._revisions.get(said.twin, -1):
            return
        self._revisions[said.twin] = said.revision
        if said.lifecycle in CLOSED:
            self._closed.add(said.twin)
        else:
            self._closed.discard(said.twin)

    def takes_readings(self, twin: TwinId) -> bool:
        return twin not in self._closed


class ProfileTable:
    """The `Profiles` port: those of the library, and those that were published. Immutable under their id@version."""

    def __init__(self) -> None:
        self._book = ProfileBook()

    def apply(self, record: Stored) -> None:
        """Whoever uses one that is none is told that it is unknown; the others go on."""
        if record.value is None:
            return
        said = ProfilePublished.FromString(record.value)
        try:
            self._book.add(said.profile, said.document)
        except ReadingError as error:
            log.get().warning("ingestion.profile_passed_over", profile=said.profile, detail=error.detail)

    def find(self, profile: str) -> Profile | None:
        return self._book.known.get(profile)
