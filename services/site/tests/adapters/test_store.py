"""The store of a site: one vector a round, nothing secret after the end, and no answer without it."""

from dataclasses import replace
from pathlib import Path

import pytest
from didymos_contracts.errors import Problem
from didymos_privacy import start
from didymos_site.adapters.store import SqliteStore
from didymos_site.application.ports import Kept, StoreFailed
from didymos_site.domain.order import Header
from didymos_testing.privacy import an_attempt

HEADER = Header("run-1", 1, 1, 0, b"s" * 32, b"p" * 32, b"l" * 32, b"", "urn:agreement")
SECRET = b"a secret of thirty-two bytes, ok"


def a_kept(**changes: object) -> Kept:
    state, _ = start(an_attempt(), "did:key:za", 2, SECRET)
    return replace(Kept(HEADER, "open", b"o" * 32, b"signal", state), **changes)  # type: ignore[arg-type]


def test_an_answer_is_there_after_a_restart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.keep(a_kept())
    store.shut()
    again = SqliteStore(tmp_path / "state.db")
    answered = again.answered(HEADER, "open")
    assert answered is not None
    assert (answered.order, answered.signal) == (b"o" * 32, b"signal")
    assert again.state(HEADER) == a_kept().state
    assert again.answered(replace(HEADER, attempt=2), "open") is None
    assert (tmp_path / "state.db").stat().st_mode & 0o777 == 0o600
    again.shut()


def test_a_round_has_one_vector_for_ever(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.keep(a_kept(vector=b"one"))
    store.keep(a_kept(vector=b"one"))
    for other in (a_kept(vector=b"two"), a_kept(vector=b"one", header=replace(HEADER, attempt=2))):
        with pytest.raises(Problem, match=r"privacy\.second_vector_refused"):
            store.keep(other)
    store.close(HEADER, committed=False)
    assert store.vector("run-1", 1) == (1, b"")
    with pytest.raises(Problem, match=r"privacy\.second_vector_refused"):
        store.keep(a_kept(vector=b"two"))
    store.shut()


def test_secrets_of_an_attempt_are_not_in_the_file_after_it_is_closed(tmp_path: Path) -> None:
    from base64 import b64encode

    store, wanted = SqliteStore(tmp_path / "state.db"), b64encode(SECRET)
    store.keep(a_kept())
    assert any(wanted in path.read_bytes() for path in tmp_path.iterdir())
    store.close(HEADER, committed=True)
    assert not any(wanted in path.read_bytes() for path in tmp_path.iterdir())
    store.shut()


def test_what_cannot_be_kept_is_not_said(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.shut()
    with pytest.raises(StoreFailed):
        store.keep(a_kept())
