"""`didymos verify`: exit 0 valid, 1 invalid, 2 unreadable, 3 below policy; a changed byte never ends in a traceback."""

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from didymos_cli import verify as command
from didymos_cli.main import app
from didymos_provenance import build_bundle
from didymos_testing.provenance import NOON, ALog, a_did_signer, a_policy, a_signed, a_witness_signer, some_orgs
from typer.testing import CliRunner

AT = "2026-11-24T12:30:00Z"


@dataclass
class Files:
    bundle: Path
    policy: Path
    orgs: Path

    def run(self, *more: str) -> Any:
        said = ["verify", str(self.bundle), "--policy", str(self.policy), "--orgs", str(self.orgs), "--at", AT, *more]
        return CliRunner().invoke(app, said)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A grant in a log under two witnesses, and the two files of trust."""
    witnesses = [a_witness_signer(f"witness-{number}.example") for number in (1, 2)]
    log, owner = ALog(witnesses=witnesses), a_did_signer("owner")
    grant = log.log("grant.issued", a_signed({"id": "urn:uuid:1", "issuer": str(owner.did)}, owner))
    found = Files(tmp_path / "bundle.json", tmp_path / "policy", tmp_path / "orgs.json")
    found.bundle.write_bytes(
        build_bundle("grant", "urn:uuid:1", [log.prove(grant)], NOON + 120, "sequencer+witness(2/2)")
    )
    found.policy.write_bytes(a_policy([log.signer.key], [witness.key for witness in witnesses]))
    found.orgs.write_bytes(some_orgs(log))
    return found


def test_a_valid_bundle_is_said_to_be_valid_in_text_and_in_json(files: Files) -> None:
    text, said = files.run(), files.run("--json")
    assert (text.exit_code, said.exit_code) == (0, 0), text.output
    assert "valid: grant urn:uuid:1" in text.output
    assert json.loads(said.output)["strength"] == "sequencer+witness(2/2)"


def test_a_changed_byte_is_invalid_or_unreadable_and_never_a_traceback(files: Files) -> None:
    good, draws = files.bundle.read_bytes(), Random(3)
    for at in draws.sample(range(len(good)), 150):
        changed = bytearray(good)
        changed[at] ^= 1 << draws.randrange(8)
        files.bundle.write_bytes(changed)
        result = files.run()
        assert result.exit_code in (1, 2), (at, result.output)
        assert isinstance(result.exception, SystemExit)


def test_too_few_witnesses_is_below_policy(files: Files) -> None:
    policy = files.policy.read_text()
    third = a_witness_signer("witness-3.example").key.vkey()
    lines = policy.replace("group all-witnesses 2 w1 w2", f"witness w3 {third}\ngroup all-witnesses 3 w1 w2 w3")
    files.policy.write_text(lines)
    assert files.run().exit_code == 3


def test_files_that_are_missing_or_no_bundle_are_unreadable(files: Files, tmp_path: Path) -> None:
    files.bundle.write_bytes(b"\xff\x00")
    assert files.run().exit_code == 2
    files.bundle = tmp_path / "nowhere"
    result = files.run()
    assert result.exit_code == 2
    assert "No such file" in result.output
    assert files.run("--at", "noon").exit_code == 2


def test_a_bundle_over_the_limit_is_not_read_whole(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "MAX_BUNDLE_BYTES", 100)
    assert files.run().exit_code == 2
