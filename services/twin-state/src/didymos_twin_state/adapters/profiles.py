"""Published profiles: in the database of the service, in its outbox, and back from the tail of their topic."""

from didymos.twin.v1.twin_events_pb2 import ProfilePublished
from didymos_did import Did
from didymos_kit import log
from didymos_kit.database.seen import insert_missing
from didymos_kit.database.unit_of_work import Transaction
from didymos_kit.eventlog import Stored
from didymos_readings import ProfileBook, ReadingError, SignedProfile, read_signed_profile
from google.protobuf.message import DecodeError
from sqlalchemy import func, insert, select

from didymos_twin_state.adapters.tables import PROFILE_NAMES, PROFILES
from didymos_twin_state.application.publish_profile import Work


class ProfileTail:
    """Fills a book from the topic."""

    def __init__(self) -> None:
        self.book = ProfileBook()

    def apply(self, record: Stored) -> None:
        """What is no profile is passed over: twins under it go on without its rules, the others are not held up."""
        if record.value is None:
            return
        try:
            said = ProfilePublished.FromString(record.value)
            self.book.add(said.profile, said.document)
        except (ReadingError, DecodeError) as error:
            log.get().warning("twin.profile_passed_over", partition=record.partition, offset=record.offset,
                              error=str(error)[:300])  # fmt: skip


class SqlProfiles:
    """`Profiles` in one transaction."""

    def __init__(self, tx: Transaction, now_us: int) -> None:
        self._connection, self._now_us = tx.connection, now_us

    async def claim(self, name: str, signer: Did) -> Did:
        await insert_missing(self._connection, PROFILE_NAMES, [{"name": name, "signer": signer}])
        query = select(PROFILE_NAMES.c.signer).where(PROFILE_NAMES.c.name == name).with_for_update()
        return Did((await self._connection.execute(query)).scalar_one())

    async def find(self, profile: str) -> SignedProfile | None:
        query = select(PROFILES.c.document).where(PROFILES.c.id == profile)
        found = (await self._connection.execute(query)).scalar_one_or_none()
        return None if found is None else read_signed_profile(found)

    async def count(self) -> int:
        return int((await self._connection.execute(select(func.count()).select_from(PROFILES))).scalar_one())

    async def add(self, signed: SignedProfile) -> None:
        row = {"id": signed.profile.id, "document": signed.document, "published_at_us": self._now_us}
        await self._connection.execute(insert(PROFILES).values(row))


def sql_work(tx: Transaction, now_us: int) -> Work:
    def tell(signed: SignedProfile) -> None:
        event = ProfilePublished(profile=signed.profile.id, document=signed.document)
        tx.publish_event(event, key=signed.profile.id)

    return Work(SqlProfiles(tx, now_us), tell)
