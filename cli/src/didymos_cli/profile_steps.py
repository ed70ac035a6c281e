"""What the commands of `didymos profiles` do."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_did import DidError, jcs, parse_strict, sign_document
from didymos_readings import read_signed_profile
from didymos_readings.profile import PROFILE_BYTES

from didymos_cli.owner_steps import Desk, Step

PATH: Final = "/twin-state/v1/profiles"


def publish(path: Path) -> Step:
    """Checked before it is sent, by the rules of the house. Raises PLATFORM_INVALID_FIELD, ReadingError, Problem."""
    try:
        said: Any = parse_strict(path.read_bytes(), limit=PROFILE_BYTES, floats=True)
    except DidError as error:
        raise PLATFORM_INVALID_FIELD.problem(pointer=str(path), detail=error.detail) from error
    if not isinstance(said, dict):
        raise PLATFORM_INVALID_FIELD.problem(pointer=str(path), detail="a profile is an object")

    async def step(desk: Desk) -> object:
        signer, now = desk.client.signer, datetime.now(UTC).replace(microsecond=0)
        body = jcs(said if "proof" in said else sign_document(said, signer, now))
        read_signed_profile(body)
        return (await desk.client.call("POST", PATH, body=body)).json()

    return step


async def listed(desk: Desk) -> object:
    return (await desk.client.get(PATH))["profiles"]


def show(profile: str) -> Step:
    async def step(desk: Desk) -> object:
        said = await desk.client.get(f"{PATH}/{quote(profile, safe='@')}")
        if said["document"] is not None:
            read_signed_profile(jcs(said["document"]))
        return said

    return step
