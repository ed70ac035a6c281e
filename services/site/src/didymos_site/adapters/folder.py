"""The folder of a site: who it is, whose data lie in it, and what their owners granted. README.md shows it.

site.json       {"subjects": [{"twin", "owner", "series", "person"?, "placement"?}]}
site.key        32 bytes in hexadecimal, 0600: the seed of the site's did:key
enrolment.json  SiteEnrolment of the organisation
grants/*.json   grants as their owners signed them
"""

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from didymos_contracts.errors.platform import PLATFORM_FOLDER_LOCKED, PLATFORM_INVALID_SETTING
from didymos_contracts.errors.training import TRAINING_SITE_NOT_ENROLLED
from didymos_did import (
    DidError,
    Ed25519Signer,
    Grant,
    TwinId,
    jcs,
    parse_did,
    parse_grant,
    parse_site_enrolment,
    parse_strict,
)
from didymos_kit import log

from didymos_site.domain.subject import Placement, Subject

MANIFEST: Final = "site.json"
KEY: Final = "site.key"
ENROLMENT: Final = "enrolment.json"
GRANTS: Final = "grants"
STORE: Final = "state.db"
LOCK: Final = "site.lock"
_MEMBERS: Final = frozenset({"twin", "owner", "series"})
_OPTIONAL: Final = frozenset({"person", "placement"})


@dataclass(frozen=True, slots=True)
class Folder:
    """A site's folder. Nothing in it is sent, but what other modules say is."""

    path: Path

    @contextmanager
    def held(self) -> Iterator[None]:
        """This folder is one process's: two would answer for one site. Raises PLATFORM_FOLDER_LOCKED."""
        with (self.path / LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise PLATFORM_FOLDER_LOCKED.problem(folder=self.path.name) from None
            yield

    def signer(self) -> Ed25519Signer:
        """The key of this site; made the first time, readable by its owner only."""
        return Ed25519Signer(self._seed())

    def secret(self) -> bytes:
        """Another use of the same seed: `derived` keeps the two apart."""
        return self._seed()

    def _seed(self) -> bytes:
        path = self.path / KEY
        if not path.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(opened, "w") as file:
                file.write(secrets.token_hex(32))
                file.flush()
                os.fsync(file.fileno())
        try:
            seed = bytes.fromhex(path.read_text())
        except ValueError:
            seed = b""
        if len(seed) != 32:
            raise PLATFORM_INVALID_SETTING.problem(name=KEY, detail="32 bytes in hexadecimal are needed")
        return seed

    def enrolment(self) -> bytes:
        """The credential as canonical JSON. Raises TRAINING_SITE_NOT_ENROLLED if there is none for this key."""
        path = self.path / ENROLMENT
        if not path.exists():
            detail = f"{ENROLMENT} is missing: the organisation signs one for {self.signer().did}"
            raise TRAINING_SITE_NOT_ENROLLED.problem(detail=detail)
        try:
            raw = jcs(parse_strict(path.read_bytes()))
            enrolment = parse_site_enrolment(raw)
        except DidError as error:
            raise TRAINING_SITE_NOT_ENROLLED.problem(detail=error.detail) from error
        if enrolment.site != self.signer().did:
            raise TRAINING_SITE_NOT_ENROLLED.problem(detail="the enrolment is for another site")
        return raw

    def subjects(self) -> Mapping[TwinId, Subject]:
        """Raises PLATFORM_INVALID_SETTING with the place of the first mistake."""
        try:
            said = parse_strict((self.path / MANIFEST).read_bytes(), limit=1 << 24)
        except OSError as error:
            raise PLATFORM_INVALID_SETTING.problem(name=MANIFEST, detail=type(error).__name__) from error
        except DidError as error:
            raise PLATFORM_INVALID_SETTING.problem(name=MANIFEST, detail=error.detail) from error
        if not isinstance(said, dict) or not isinstance(said.get("subjects"), list):
            raise PLATFORM_INVALID_SETTING.problem(name=MANIFEST, detail="an object with a list `subjects`")
        found = [self._subject(at, each) for at, each in enumerate(said["subjects"])]
        if len({subject.twin for subject in found}) != len(found):
            raise PLATFORM_INVALID_SETTING.problem(name=MANIFEST, detail="a twin stands twice")
        return {subject.twin: subject for subject in sorted(found, key=lambda subject: subject.twin)}

    def _subject(self, at: int, said: Any) -> Subject:  # noqa: ANN401 - JSON
        where = f"{MANIFEST} /subjects/{at}"
        if not isinstance(said, dict) or not _MEMBERS <= said.keys() <= _MEMBERS | _OPTIONAL:
            raise PLATFORM_INVALID_SETTING.problem(name=where, detail="twin, owner, series; person and placement")
        if not all(isinstance(value, str) for value in said.values()):
            raise PLATFORM_INVALID_SETTING.problem(name=where, detail="texts only")
        file = (self.path / said["series"]).resolve()
        if not file.is_relative_to(self.path.resolve()) or not file.is_file():
            raise PLATFORM_INVALID_SETTING.problem(name=f"{where}/series", detail="no such file in this folder")
        try:
            placement = Placement(said.get("placement", Placement.SITE.value))
            twin, owner = TwinId(parse_did(said["twin"])), parse_did(said["owner"])
        except (ValueError, DidError) as error:
            raise PLATFORM_INVALID_SETTING.problem(name=where, detail=str(error)[:120]) from error
        return Subject(twin, owner, said["series"], said.get("person", ""), placement)

    def grants(self) -> tuple[Grant, ...]:
        """Every credential in `grants/` whose signature holds; a file that is none is told and passed over."""
        found = []
        for path in sorted((self.path / GRANTS).glob("*.json")):
            try:
                found.append(parse_grant(path.read_bytes()))
            except (DidError, OSError) as error:
                log.get().warning("site.grant_unreadable", file=path.name, cause=str(error)[:200])
        return tuple(found)
