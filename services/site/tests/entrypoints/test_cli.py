"""The command line: what it takes, what it refuses, and the pauses between two dials."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from didymos_site.adapters.folder import STORE
from didymos_site.adapters.store import SqliteStore
from didymos_site.application.ports import Kept
from didymos_site.bootstrap import bootstrap, enrol, run, show
from didymos_site.domain.order import Header
from didymos_site.entrypoints.attend import Patience
from didymos_site.entrypoints.cli import Commands, main, parser, settings_of, until_signalled
from didymos_site.settings import SiteSettings
from didymos_testing.site import COORDINATOR, ORGANISATION, a_person, a_site_folder


async def nothing(_settings: SiteSettings) -> None:
    """A site that has nothing to do."""


QUIET = Commands(nothing, lambda _: "", lambda *_: "")
REAL = Commands(run, enrol, show)


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIDYMOS_SITE__COORDINATOR", "there:1")
    monkeypatch.setenv("DIDYMOS_SITE__ORIGIN", "http://there")
    given = settings_of(parser().parse_args(["--coordinator", "here:2", "--organisation", "a", "--organisation", "b"]))
    assert (given.coordinator, given.origin, given.organisations) == ("here:2", "http://there", ("a", "b"))


def test_a_setting_that_nobody_reads_ends_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIDYMOS_SITE__COORDINATR", "there:1")
    assert main([], QUIET) == 2


def test_enrol_prints_the_did_to_sign_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["enrol", "--folder", str(tmp_path / "site")], REAL) == 0
    assert capsys.readouterr().out.startswith("did:key:z6Mk")


def test_a_site_that_was_not_enrolled_ends_with_3(tmp_path: Path) -> None:
    a_site_folder(tmp_path / "site", [a_person(1)])
    (tmp_path / "site/enrolment.json").unlink()
    said = [
        "--folder",
        str(tmp_path / "site"),
        "--coordinator-did",
        COORDINATOR.did,
        "--organisation",
        ORGANISATION.did,
    ]
    assert main(said, REAL) == 3
    assert main([*said[:2], "--coordinator-did", "nobody"], REAL) == 2


async def test_a_site_without_a_coordinator_dials_again(tmp_path: Path) -> None:
    a_site_folder(tmp_path / "site", [a_person(1)])
    settings = SiteSettings(
        folder=tmp_path / "site", coordinator="127.0.0.1:1", coordinator_did=COORDINATOR.did,
        organisations=(ORGANISATION.did,), first_pause_seconds=0.01, most_pause_seconds=0.02,
    )  # fmt: skip
    async with bootstrap(settings) as site:
        task = asyncio.create_task(site.run())
        done, _ = await asyncio.wait([task], timeout=1.0)
        assert not done
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_pauses_have_full_jitter_and_a_bound() -> None:
    patience = Patience(1.0, 60.0)
    assert all(0 <= patience.pause(failures) <= min(60.0, 2.0**failures) for failures in range(1, 40))
    assert len({patience.pause(5) for _ in range(20)}) == 20


async def test_a_signal_ends_the_work() -> None:
    import os
    import signal

    async def forever() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

    await until_signalled(forever())


def test_a_site_that_does_not_train_imports_neither_torch_nor_a_server() -> None:
    said = "import sys, didymos_site.__main__; sys.exit(bool({'torch', 'fastapi', 'sqlalchemy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", said], check=False).returncode == 0


async def test_an_owner_sees_what_was_booked_and_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    person = a_person(1)
    a_site_folder(tmp_path / "site", [person])
    store = SqliteStore(tmp_path / "site" / STORE)
    header = Header("run-1", 1, 1, 0, b"s" * 32, b"p" * 32, b"l" * 32, b"", "urn:agreement")
    store.keep(Kept(header, "SetupBoxes", b"o" * 32, b"signal", vector=b"v", booked=(person.grant.id,)))
    store.refused(header, "open", "consent.stale", 1_795_000_000_000_000)
    store.shut()
    folder = ["--folder", str(tmp_path / "site")]
    assert main(["status", *folder], REAL) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["organisation"], shown["runs"], shown["refusals"]) == (
        ORGANISATION.did, [{"run": "run-1", "sent": 1, "committed": 0}], 1,
    )  # fmt: skip
    assert main(["budget", *folder], REAL) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["grant"], line["rounds"], line["booked"], line["left"]) == (person.grant.id, 30, 1, 29)
    assert main(["log", *folder], REAL) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["step"], line["code"]) == ("open", "consent.stale")
    assert main(["status", "--folder", str(tmp_path / "nothing")], REAL) == 2
    assert not (tmp_path / "nothing").exists()
