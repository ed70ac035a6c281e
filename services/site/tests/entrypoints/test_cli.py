"""The command line: what it takes, what it refuses, and the pauses between two dials."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from didymos_site.bootstrap import bootstrap
from didymos_site.entrypoints.attend import Patience
from didymos_site.entrypoints.cli import main, parser, settings_of, until_signalled
from didymos_site.settings import SiteSettings
from didymos_testing.site import COORDINATOR, ORGANISATION, a_person, a_site_folder


async def nothing(_settings: SiteSettings) -> None:
    """A site that has nothing to do."""


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIDYMOS_SITE__COORDINATOR", "there:1")
    monkeypatch.setenv("DIDYMOS_SITE__ORIGIN", "http://there")
    given = settings_of(parser().parse_args(["--coordinator", "here:2", "--organisation", "a", "--organisation", "b"]))
    assert (given.coordinator, given.origin, given.organisations) == ("here:2", "http://there", ("a", "b"))


def test_a_setting_that_nobody_reads_ends_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIDYMOS_SITE__COORDINATR", "there:1")
    assert main([], nothing, lambda _: "") == 2


def test_enrol_prints_the_did_to_sign_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from didymos_site.bootstrap import enrol

    assert main(["enrol", "--folder", str(tmp_path / "site")], nothing, enrol) == 0
    assert capsys.readouterr().out.startswith("did:key:z6Mk")


def test_a_site_that_was_not_enrolled_ends_with_3(tmp_path: Path) -> None:
    a_site_folder(tmp_path / "site", [a_person(1)])
    (tmp_path / "site/enrolment.json").unlink()
    from didymos_site.bootstrap import run

    said = [
        "--folder",
        str(tmp_path / "site"),
        "--coordinator-did",
        COORDINATOR.did,
        "--organisation",
        ORGANISATION.did,
    ]
    assert main(said, run, lambda _: "") == 3
    assert main([*said[:2], "--coordinator-did", "nobody"], run, lambda _: "") == 2


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


def test_a_site_that_does_not_train_imports_no_torch() -> None:
    said = "import sys, didymos_site.bootstrap, didymos_site.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", said], check=False).returncode == 0
