"""The README names every route there is, and no other."""

import re
from pathlib import Path

from didymos_kit.http.surface import surface
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics
from didymos_testing.house import World

README = Path(__file__).parents[2] / "README.md"


def named(text: str) -> set[str]:
    """`POST /devices`, `POST /devices/{did}/revoke` in the table of routes, without what is asked."""
    return {
        f"{method} {path.partition('?')[0]}"
        for row in text.splitlines()
        if row.startswith("| `")
        for method, path in re.findall(r"`(GET|POST) (/[^`]*)`", row.partition(" | ")[0])
    }


async def test_the_readme_names_every_route_and_no_other(world: World) -> None:
    (service,) = world.process.services
    app = surface(service, world.house.access, draining=Stopping(), metrics=Metrics())
    served = {
        f"{method.upper()} {path.removeprefix('/v1')}"
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }
    assert named(README.read_text()) == served
