"""The embedded house, and what a restart of it finds."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from didymos_contracts.errors import Problem
from didymos_did import Reason
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.house import House, parse_token
from didymos_testing.house import a_house, served
from didymos_testing.house_contract import (
    OWNER,
    THE_TWIN,
    HouseContract,
    a_reading_grant,
    make_tables,
    may_read,
    whoami,
)
from didymos_testing.identity_box import IdentityBox


@asynccontextmanager
async def a_sqlite_desk(house: House, folder: Path) -> AsyncIterator[Database]:
    stamp = Stamp("didymos://test/desk", house.clock, house.ids)
    async with Database(sqlite_engine(folder / "desk.db"), "identity", stamp) as database:
        await make_tables(database)
        yield database


class TestEmbeddedHouse(HouseContract):
    @staticmethod
    def make_house(folder: Path) -> AbstractAsyncContextManager[House]:
        return a_house(folder)

    @staticmethod
    def make_desk(house: House, folder: Path) -> AbstractAsyncContextManager[Database]:
        return a_sqlite_desk(house, folder)


async def test_without_heartbeats_only_the_owner_is_let_in(tmp_path: Path) -> None:
    """Tokens are waited for by the tails; freshness is another thing, and nobody beats here."""
    async with a_house(tmp_path) as house:
        box = IdentityBox(house)
        await house.wait(await box.register(THE_TWIN, OWNER.did))
        await house.wait(await box.grant(a_reading_grant(house)))
        assert may_read(house) is Reason.STALE_CONSENT
        assert may_read(house, OWNER.did) is Reason.OWNER


async def test_a_restart_finds_what_was_published(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, served(house, whoami()) as world:
        await house.wait(await world.identity.register(THE_TWIN, OWNER.did))
        await house.wait(await world.identity.grant(a_reading_grant(house)))
    async with a_house(tmp_path) as house:
        assert house.identity.owner_of(THE_TWIN) == OWNER.did
        assert [grant.twin for grant in house.consent.grants(THE_TWIN)] == [THE_TWIN]


async def test_a_second_process_on_the_folder_is_refused(tmp_path: Path) -> None:
    async with a_house(tmp_path):
        with pytest.raises(Problem) as raised:
            async with a_house(tmp_path):
                pass
        assert raised.value.row.code == "platform.folder_locked"


@pytest.mark.parametrize(
    "token", ["", "3", "3:", ":3", "x:1", "i3:-1", "3:1;4:2", "i" * 5000, "3:99999999999999999999"]
)
def test_a_token_that_is_none_is_refused(token: str) -> None:
    with pytest.raises(Problem) as raised:
        parse_token(token)
    assert raised.value.row.code == "platform.malformed"


def test_a_token_names_places_by_topic() -> None:
    assert parse_token("3:91822,w3:771, i3:88,c3:91,3:9") == {
        "": ((3, 91822), (3, 9)), "w": ((3, 771),), "i": ((3, 88),), "c": ((3, 91),),
    }  # fmt: skip
