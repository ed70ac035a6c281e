"""The whole service in an embedded house, over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from didymos_did import TwinId
from didymos_template_service.bootstrap import NAME, bootstrap
from didymos_template_service.settings import TemplateServiceSettings
from didymos_testing.did import OWNER, STRANGER, TWIN
from didymos_testing.house import World, a_house, served

NOTE = f"/v1/notes/{TWIN.did}"


@asynccontextmanager
async def a_world(folder: Path) -> AsyncIterator[World]:
    """The service, and a twin that OWNER owns."""
    async with (
        a_house(folder) as house,
        bootstrap(TemplateServiceSettings(), house) as service,
        served(house, service) as world,
    ):
        await house.wait(await world.identity.register(TwinId(TWIN.did), OWNER.did))
        yield world


async def test_a_note_is_there_after_a_restart(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(OWNER, NAME) as client:
        assert (await client.put(NOTE, json={"text": "first"})).status_code == 200
    async with a_world(tmp_path) as world, world.rest(OWNER, NAME) as client:
        assert (await client.get(NOTE)).json()["text"] == "first"


async def test_a_stranger_cannot_tell_a_twin_from_no_twin(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(STRANGER, NAME) as client:
        answers = [await client.put(NOTE, json={"text": "x"}), await client.get(NOTE)]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "platform.not_found")] * 2


async def test_without_a_token_nothing_is_told(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, world.rest(None, NAME) as client:
        assert (await client.get(NOTE)).status_code == 401
