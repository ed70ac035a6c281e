"""`didymos verify`: a verdict on the bytes of three files, printed for people or as JSON. marketplace-ledger.md 4."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from didymos_did import DidError, parse_instant
from didymos_provenance import Exit, Verdict, verify_bundle
from didymos_provenance.bundle import MAX_BUNDLE_BYTES

_SAID: Final = {
    Exit.VALID: "valid",
    Exit.INVALID: "INVALID",
    Exit.UNREADABLE: "UNREADABLE",
    Exit.BELOW_POLICY: "genuine, but BELOW POLICY",
}


def verify_files(bundle: Path, policy: Path, orgs: Path, *, at: str, as_json: bool) -> int:
    """Print the verdict; its exit code. A file that cannot be read is an unreadable bundle, never a traceback."""
    try:
        moment = int((parse_instant(at) if at else datetime.now(UTC)).timestamp())
        verdict = verify_bundle(_read(bundle), _read(policy), _read(orgs), moment)
    except OSError as error:
        verdict = Verdict(Exit.UNREADABLE, step=1, reason=f"{error.filename}: {error.strerror}")
    except DidError as error:
        verdict = Verdict(Exit.UNREADABLE, step=1, reason=f"--at: {error.detail}")
    sys.stdout.write(json.dumps(verdict_json(verdict), indent=2) + "\n" if as_json else _text(verdict))
    return int(verdict.exit)


def _read(path: Path) -> bytes:
    """At most one byte over the limit of a bundle: a longer file is refused by its length, not read."""
    with path.open("rb") as file:
        return file.read(MAX_BUNDLE_BYTES + 1)


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """All that was found, with the exit code as `exit` and in words as `verdict`."""
    said = {**asdict(verdict), "payout": dict(verdict.payout), "exit": int(verdict.exit)}
    return {"verdict": verdict.exit.name.lower(), **said}


def _text(verdict: Verdict) -> str:
    lines = [f"{_SAID[verdict.exit]}: {verdict.kind} {verdict.id}".rstrip(": ")]
    if verdict.reason:
        where = f"step {verdict.step}" + (f", item {verdict.item}" if verdict.item else "")
        lines.append(f"  {where}: {verdict.reason}")
    found = {name: getattr(verdict, name) for name in ("strength", "status", "money")}
    lines += [f"  {name}: {value}" for name, value in found.items() if value]
    lines += [f"  {name}: {value}" for name, value in sorted(verdict.payout.items())]
    for one in verdict.proved:
        logged = datetime.fromtimestamp(one.at, UTC).isoformat().replace("+00:00", "Z")
        lines.append(f"  {one.item}: {one.kind}, entry {one.index} of {one.origin}, {logged}")
    return "\n".join(lines) + "\n"
