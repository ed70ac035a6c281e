"""Secrets that are made once, what the jobs answer, and passwords beside URLs."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from didymos_contracts.errors import Problem
from didymos_kit.database.migrate import databases_of
from didymos_kit.house_settings import HouseSettings
from didymos_kit.jobs import main, secret_file
from didymos_kit.kubernetes import make_secret
from didymos_kit.settings import load


def test_a_secret_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "inner" / "secret"
    assert secret_file(path)
    said = path.read_text()
    assert not secret_file(path)
    assert (path.read_text(), len(bytes.fromhex(said))) == (said, 32)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_secret_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secret"]) == 0
    assert len(bytes.fromhex(capsys.readouterr().out.strip())) == 32


def test_jobs_say_what_is_away(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DIDYMOS_POSTGRES_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert main(["migrate", "identity"]) == 4
    assert "dependency=database" in capsys.readouterr().err
    monkeypatch.setenv("DIDYMOS_KAFKA_REPLICAS", "0")
    assert main(["topics"]) == 2
    assert "DIDYMOS_KAFKA_REPLICAS" in capsys.readouterr().err


def test_every_database_of_a_service_is_found() -> None:
    assert databases_of("identity") == ("identity", "identity.vault")
    assert databases_of("training-orchestration") == ("training-orchestration",)
    assert databases_of("site") == databases_of("no-such-service") == ()


def test_a_password_may_come_as_a_file_beside_its_url(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/word\n")
    said = {
        "DIDYMOS_POSTGRES_URL": "postgresql://didymos:old@db:5432/didymos",
        "DIDYMOS_POSTGRES_PASSWORD_FILE": str(tmp_path / "password"),
        "DIDYMOS_REDIS_URL": "redis://hot:6379/0",
        "DIDYMOS_REDIS_PASSWORD": "x",
    }
    settings = load(HouseSettings, said)
    assert settings.postgres() == "postgresql://didymos:p%40ss%2Fword@db:5432/didymos"
    assert settings.redis() == "redis://:x@hot:6379/0"
    assert load(HouseSettings, {}).postgres() == "postgresql://127.0.0.1:5432/didymos"


@contextmanager
def an_api_server(answer: int) -> Iterator[tuple[str, list[tuple[str, str | None, Any]]]]:
    """Its URL, and what it is asked."""
    asked: list[tuple[str, str | None, Any]] = []

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append((self.path, self.headers["authorization"], body))
            self.send_response(answer)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("answer", "made"), [(201, True), (409, False), (403, None)])
def test_the_install_job_makes_a_secret_unless_there_is_one(tmp_path: Path, answer: int, made: bool | None) -> None:
    (tmp_path / "token").write_text("abc")
    (tmp_path / "namespace").write_text("clinic")
    with an_api_server(answer) as (url, asked):
        if made is None:
            with pytest.raises(Problem, match=r"not allowed|Not allowed"):
                make_secret("root", {"secret": 32}, tmp_path, url)
        else:
            assert make_secret("root", {"secret": 32, "password": 16}, tmp_path, url) is made
    ((path, token, body),) = asked
    assert (path, token) == ("/api/v1/namespaces/clinic/secrets", "Bearer abc")
    assert body["metadata"] == {"name": "root"}


def test_outside_a_pod_no_secret_is_made(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="not in a pod"):
        make_secret("root", {"secret": 32}, tmp_path)
