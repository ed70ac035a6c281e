"""Write the golden bytes of every event of the tree to libs/contracts/tests/golden/unreleased.json."""

import importlib.util
import json
from pathlib import Path

from didymos_contracts.events import EVENTS

TESTS = Path(__file__).resolve().parent.parent / "libs/contracts/tests"


def main() -> None:
    spec = importlib.util.spec_from_file_location("test_events", TESTS / "test_events.py")
    if spec is None or spec.loader is None:
        raise SystemExit("libs/contracts/tests/test_events.py is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = {name: module.filled(kind()).SerializeToString(deterministic=True).hex() for name, kind in EVENTS.items()}
    text = json.dumps(dict(sorted(rows.items())), indent=1)
    (TESTS / "golden/unreleased.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
