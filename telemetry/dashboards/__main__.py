"""`python -m telemetry.dashboards`: write what the chart mounts; `--check` fails where that differs."""

import sys
from pathlib import Path
from typing import Final

from telemetry.dashboards import DASHBOARDS
from telemetry.dashboards.panels import to_json
from telemetry.slos import SLO_RULES, slo_rules

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "charts/didymos/dashboards"


def wanted() -> dict[Path, str]:
    """Every file that is generated here, with its text."""
    made = {FOLDER / f"{each.name}.json": to_json(each) for each in DASHBOARDS}
    return {**made, SLO_RULES: slo_rules()}


def main() -> int:
    files, check = wanted(), "--check" in sys.argv
    stale = [path for path in FOLDER.glob("*.json") if path not in files]
    for path, text in files.items():
        if not path.exists() or path.read_text() != text:
            stale.append(path)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    if check:
        for path in stale:
            sys.stderr.write(
                f"{path.relative_to(ROOT)} is not what telemetry/ says; run python -m telemetry.dashboards\n"
            )
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
