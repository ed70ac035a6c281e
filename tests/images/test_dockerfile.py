"""What can be said of the images without building them."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tools import images, servers

ROOT: Final = Path(__file__).resolve().parents[2]
FINAL: Final = {"service", "cli", "learner", "kafka", "postgresql", "redis", "gateway"}
UNPRIVILEGED: Final = "65532:65532"
SERVICES: Final = ("identity", "ingestion", "twin_state", "training_orchestration", "marketplace", "ledger", "steward")


def instructions() -> list[tuple[str, str]]:
    """Each instruction and its words, in one line."""
    text = re.sub(r"^#.*\n", "", images.DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def stages() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for word, rest in instructions():
        if word == "FROM":
            name = rest.split(" AS ")[1]
            found[name] = []
        if name:
            found[name].append((word, rest))
    return found


def lineage(name: str) -> Iterator[tuple[str, str]]:
    """The instructions of a stage and of those it begins with, the first one first."""
    known = stages()
    parent = known[name][0][1].split(" AS ")[0]
    if parent in known:
        yield from lineage(parent)
    yield from known[name]


def test_the_tool_builds_every_image_and_no_other() -> None:
    assert set(images.targets()) == FINAL
    assert set(stages()) == FINAL | images.INNER


def test_the_learner_is_last() -> None:
    assert list(stages())[-2:] == ["wheels-learner", "learner"]


def test_old_builders_can_read_it() -> None:
    text = images.DOCKERFILE.read_text()
    assert "<<" not in text, "heredocs need buildah 1.33"
    assert not re.search(r"^# *syntax", text, re.MULTILINE)
    assert not re.search(r"^ADD ", text, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(FINAL))
def test_an_image_runs_unprivileged(name: str) -> None:
    users = [rest for word, rest in lineage(name) if word == "USER"]
    assert users[-1] == UNPRIVILEGED
    assert any(word == "RUN" and "--uid 65532" in rest for word, rest in lineage(name)), "the user has a name"


@pytest.mark.parametrize("name", sorted(FINAL))
def test_an_image_gets_no_installer_no_compiler_and_no_secret(name: str) -> None:
    for word, rest in lineage(name):
        if word != "RUN":
            continue
        assert not re.search(r"\bpip3? install|\bpip --python|build-essential|\bgcc\b|-dev\b|binutils|--mount", rest), (
            rest
        )
        if "apt-get install" in rest:
            assert "--no-install-recommends" in rest
            assert "rm -rf /var/lib/apt/lists/*" in rest


def test_every_file_that_is_copied_is_there_and_in_the_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*", "the context is a list of what is let in"
    let_in = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    assert copied
    for source in (path for paths in copied for path in paths):
        assert (ROOT / source).exists(), source
        assert any(source == path or source.startswith(f"{path}/") for path in let_in), source


def test_every_stage_that_is_copied_from_comes_before() -> None:
    seen: set[str] = set()
    for name, steps in stages().items():
        for word, rest in steps:
            for source in re.findall(r"--from=(\S+)", rest) if word == "COPY" else []:
                assert source in seen, f"{name} copies from {source}"
        seen.add(name)


def test_scripts_of_a_build_can_be_run() -> None:
    for path in (ROOT / "deploy/images").rglob("*.sh"):
        assert path.stat().st_mode & 0o111, path
        subprocess.run(["sh", "-n", str(path)], check=True)


def test_the_broker_is_the_one_that_tests_run_on() -> None:
    pom = (ROOT / "deploy/images/kafka/pom.xml").read_text()
    assert re.findall(r"</artifactId><version>(\S+)</version>", pom) == [servers.KAFKA, servers.LOG4J]


def test_all_packages_have_the_version_that_images_are_tagged_with() -> None:
    projects = [
        *ROOT.glob("libs/*/pyproject.toml"),
        *ROOT.glob("services/*/pyproject.toml"),
        ROOT / "cli/pyproject.toml",
    ]
    said = {tomllib.loads(path.read_text())["project"]["version"] for path in projects}
    assert said == {images.version()}


def test_an_unknown_target_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        images.main(["servise"])
    assert ended.value.code == 2
    assert "no target servise; there are service, cli" in capsys.readouterr().err


HIDDEN: Final = """
import importlib, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "ray", "safetensors", "didymos_testing", "pytest"}:
            raise ImportError(name)
sys.meta_path.insert(0, Hidden())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def test_the_seven_services_and_the_command_import_without_torch_and_ray() -> None:
    modules = [f"didymos_{name}.bootstrap" for name in SERVICES]
    command = [sys.executable, "-c", HIDDEN, *modules, "didymos_cli.main"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_secrets_are_files_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for names in images.SECRETS.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    assert list(images.secrets()) == []
    authority, settings = tmp_path / "ca.pem", tmp_path / "pip.conf"
    authority.write_text("certificates")
    settings.write_text("[global]")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    assert list(images.secrets()) == [("pip", str(settings))]
    monkeypatch.setenv("DIDYMOS_BUILD_CA", str(authority))
    assert list(images.secrets()) == [("pip", str(settings)), ("ca", str(authority))]


def test_another_base_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEBIAN", raising=False)
    monkeypatch.setenv("BASE", "registry.example/python:3.11")
    assert dict(images.bases()) == {
        "BASE": "registry.example/python:3.11", "DEBIAN": "docker.io/library/debian:bookworm-slim",
    }  # fmt: skip
