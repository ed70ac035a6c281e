"""Hold the JSON object of `didymos demo --json` to what the demo promises; say every line that falls short."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SECONDS = 300
PSS_MB = 4096
REFUSED = {
    "changed_byte": ("invalid", "unreadable"),
    "revoked_grant": ("platform.not_found",),
    "replayed_request": ("auth.replayed",),
}


def shortfalls(said: dict[str, Any]) -> Iterator[str]:
    """What is not as promised."""
    readings, rmse, refused, proofs = said["readings"], said["rmse"], said["refused"], said["proofs"]
    if said["seconds"] > SECONDS:
        yield f"took {said['seconds']:.0f} s, over {SECONDS}"
    if said["peak_rss_mb"] > PSS_MB:
        yield f"held {said['peak_rss_mb']:.0f} MB at its peak, over {PSS_MB}"
    if readings["sent"] != readings["accepted"] + readings["refused"] or readings["applied"] != readings["accepted"]:
        yield f"readings do not add up: {readings}"
    if not rmse["global"] < rmse["last_value"]:
        yield f"the global model does not beat the last value: {rmse}"
    if not rmse["personal"] < min(rmse["last_value"], rmse["own"], rmse["global"]):
        yield f"personal models do not beat the others in the mean: {rmse}"
    if not said["personal"]["accepted"] > 0:
        yield "no personal model passed the gate"
    if said["rounds"] < 1 or not said["payouts"]:
        yield "no round or no payout"
    if said["personal"]["worse_than_global"] > 1:
        yield f"{said['personal']['worse_than_global']} accepted personal models are over 1 % worse than the global one"
    yield from (f"the proof of one {name}: {verdict}" for name, verdict in proofs.items() if verdict != "valid")
    yield from (
        f"{name} was answered by {refused.get(name)!r}"
        for name, codes in REFUSED.items()
        if refused.get(name) not in codes
    )


def main() -> int:
    text = Path(sys.argv[1]).read_text()
    found = list(shortfalls(json.loads(text)))
    print(text.strip())
    for line in found:
        print(f"demo: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
