"""Write the OpenAPI document of every service to docs/api, or with --check say which of them drifted."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from didymos_cli.up import SERVICES, program
from didymos_kit.app import rest_app
from didymos_kit.house import House, Where
from didymos_kit.keyring import KeyRing
from didymos_kit.service import Stopping

ROOT = Path(__file__).resolve().parent.parent
API = ROOT / "docs/api"
WHERE = Where("http://127.0.0.1:8080", "127.0.0.1:50051")


async def documents() -> dict[str, str]:
    """Service to its document, from the routes that it really serves."""
    with tempfile.TemporaryDirectory() as folder:
        async with House.embedded(Path(folder), WHERE, keys=KeyRing(bytes(32))) as house, program(house) as made:
            app = rest_app(made.services, made.access, draining=Stopping(), metrics=made.metrics)
            return {
                name: json.dumps(surface.openapi(), indent=1, sort_keys=True) + "\n"
                for name, surface in app.state.surfaces.items()
            }


def main() -> int:
    made = asyncio.run(documents())
    missing = [name for name in SERVICES if name not in made]
    if missing:
        print(f"openapi: no routes: {missing}", file=sys.stderr)
        return 1
    if "--check" in sys.argv:
        drifted = [name for name, text in made.items() if _held(name) != text]
        for name in drifted:
            print(f"docs/api/{name}.json is not what the service serves: make generate", file=sys.stderr)
        return 1 if drifted else 0
    API.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (API / f"{name}.json").write_text(text)
    return 0


def _held(name: str) -> str:
    path = API / f"{name}.json"
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
