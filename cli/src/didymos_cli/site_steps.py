"""What the commands of `didymos site` do to a folder of a site."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

from didymos_contracts.errors.platform import PLATFORM_INVALID_SETTING
from didymos_did import Action, jcs, parse_grant, sign_site_enrolment
from didymos_kit.keyring import KeyRing
from didymos_site.adapters.folder import ENROLMENT, GRANTS, MANIFEST, Folder

from didymos_cli.card import read_card
from didymos_cli.owner import window
from didymos_cli.wallet import read_wallet


def make_site(folder: Path) -> str:
    """The DID of the site; its key is made the first time."""
    (folder / GRANTS).mkdir(parents=True, exist_ok=True)
    return str(Folder(folder).signer().did)


def admit_site(folder: Path, data: Path) -> str:
    """The DID of the organisation that admitted it. Raises PLATFORM_INVALID_SETTING."""
    try:
        keys = KeyRing((data / "house.key").read_bytes())
    except (OSError, ValueError) as error:
        raise PLATFORM_INVALID_SETTING.problem(name=str(data), detail="no house of ours lies here") from error
    organisation = keys.organisation
    (folder / ENROLMENT).write_bytes(jcs(sign_site_enrolment(Folder(folder).signer().did, window(), organisation)))
    return str(organisation.did)


def add_subject(folder: Path, wallet: Path, series: Path, passphrase: str) -> str:
    """The twin that was added. Of a twin that is there already the series and grants are replaced."""
    opened = read_wallet(wallet, passphrase)
    owner, twin = opened.signer("owner").did, opened.signer("twin").did
    grants = {name: said for name, said in opened.documents.items() if Action.TRAIN in _actions(said)}
    if not grants:
        raise PLATFORM_INVALID_SETTING.problem(name=str(wallet), detail="it holds no grant to train; see `twin grant`")
    path = folder / MANIFEST
    subjects = json.loads(path.read_text())["subjects"] if path.exists() else []
    kept = [one for one in subjects if one["twin"] != twin]
    (folder / GRANTS).mkdir(parents=True, exist_ok=True)
    if series.resolve() != (folder / series.name).resolve():
        shutil.copyfile(series, folder / series.name)
    for name, credential in grants.items():
        (folder / GRANTS / f"{name.rpartition(':')[2]}.json").write_bytes(jcs(credential))
    kept.append({"twin": twin, "owner": owner, "series": series.name})
    path.write_text(json.dumps({"subjects": kept}, indent=2) + "\n")
    return str(twin)


def _actions(credential: object) -> tuple[Action, ...]:
    return parse_grant(jcs(credential)).terms.actions


def run_site(folder: Path, house: Path) -> NoReturn:
    """This process becomes the site: signals reach it, and its exit code is ours."""
    card = read_card(house)
    where = ["--coordinator", card.grpc, "--origin", card.origin, "--organisation", card.org]
    trusted = ["--coordinator-did", card.services["training-orchestration"]]
    os.execv(sys.executable, [sys.executable, "-m", "didymos_site", "run", "--folder", str(folder), *where, *trusted])  # noqa: S606 - our own program
