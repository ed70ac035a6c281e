"""A folder says who a site is and whose data it has; what is wrong in it is named with file and place."""

import json
from pathlib import Path
from typing import Any

import pytest
from didymos_contracts.errors import Problem
from didymos_did import jcs
from didymos_site.adapters.folder import Folder
from didymos_site.domain.subject import Placement
from didymos_testing.did import NOON, STRANGER
from didymos_testing.site import ORGANISATION, a_person, a_site_folder


def a_folder(tmp_path: Path, **changes: Any) -> Folder:
    a_site_folder(tmp_path / "site", [a_person(1), a_person(2)], **changes)
    return Folder(tmp_path / "site")


def test_a_folder_names_subjects_with_their_owners_and_placements(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, placement="site")
    subjects = folder.subjects()
    assert {subject.owner for subject in subjects.values()} == {a_person(n).grant.owner for n in (1, 2)}
    assert {subject.placement for subject in subjects.values()} == {Placement.SITE}
    assert {grant.id for grant in folder.grants()} == {a_person(n).grant.id for n in (1, 2)}


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "new")
    first = folder.signer().did
    assert Folder(tmp_path / "new").signer().did == first
    assert ((tmp_path / "new/site.key").stat().st_mode & 0o777) == 0o600
    with pytest.raises(Problem, match=r"training\.site_not_enrolled.*organisation signs one"):
        folder.enrolment()


def test_an_enrolment_of_another_site_is_none(tmp_path: Path) -> None:
    from datetime import timedelta

    from didymos_did import sign_site_enrolment

    folder = a_folder(tmp_path)
    other = sign_site_enrolment(STRANGER.did, (NOON, NOON + timedelta(days=1)), ORGANISATION)
    path = folder.path / "enrolment.json"
    path.write_bytes(jcs(other))
    with pytest.raises(Problem, match=r"for another site"):
        folder.enrolment()
    path.write_bytes(b"{}")
    with pytest.raises(Problem, match=r"training\.site_not_enrolled"):
        folder.enrolment()


def test_a_folder_is_held_by_one_process(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    with folder.held(), pytest.raises(Problem, match=r"platform\.folder_locked"), Folder(folder.path).held():
        pass
    with folder.held():
        pass


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.pop("subjects"),
        lambda said: said["subjects"].append(said["subjects"][0]),
        lambda said: said["subjects"][0].pop("owner"),
        lambda said: said["subjects"][0].update(series="../../etc/passwd"),
        lambda said: said["subjects"][0].update(series="none.csv"),
        lambda said: said["subjects"][0].update(placement="cloud"),
        lambda said: said["subjects"][0].update(twin="did:web:example.org"),
        lambda said: said["subjects"][0].update(person=7),
        lambda said: said["subjects"][0].update(colour="red"),
    ],
    ids=["no list", "twice", "no owner", "outside", "no file", "placement", "did", "text", "unknown"],
)
def test_a_manifest_with_a_mistake_is_refused_with_its_place(tmp_path: Path, change: Any) -> None:
    folder = a_folder(tmp_path)
    said = json.loads((folder.path / "site.json").read_text())
    change(said)
    (folder.path / "site.json").write_text(json.dumps(said))
    with pytest.raises(Problem, match=r"platform\.invalid_setting.*site\.json"):
        folder.subjects()


def test_files_that_are_no_key_manifest_or_grant_are_told(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    (folder.path / "grants/torn.json").write_text("{")
    assert len(folder.grants()) == 2
    (folder.path / "site.json").write_text("{")
    with pytest.raises(Problem, match=r"platform\.invalid_setting"):
        folder.subjects()
    (folder.path / "site.json").unlink()
    with pytest.raises(Problem, match=r"platform\.invalid_setting"):
        folder.subjects()
    (folder.path / "site.key").write_text("not hexadecimal")
    with pytest.raises(Problem, match=r"32 bytes in hexadecimal"):
        folder.signer()
