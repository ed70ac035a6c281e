"""`python tools/images.py [TARGET...] [--tag T] [--save FOLDER | --load]`: build the images of the Dockerfile.

With buildah, or docker (BuildKit) where there is no buildah; $DIDYMOS_BUILDER chooses. The tag is the version of the
project. Without targets: all of them. `--save` writes an archive of each, `--load` hands it to the cluster kit at
$CLUSTER_KIT and deletes it.

What a build needs beyond the tree comes from the environment: $BASE and $DEBIAN name the images to begin with;
$DIDYMOS_BUILD_PIP (a pip.conf; else $PIP_CONFIG_FILE), $DIDYMOS_BUILD_CA (certificates; else $SSL_CERT_FILE) and
$DIDYMOS_BUILD_MAVEN (a settings.xml) are mounted as secrets and stay out of every layer. Where a base is not here and a
kit is, the kit makes it from Debian's packages.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
DOCKERFILE: Final = ROOT / "Dockerfile"
INNER: Final = {"base", "code", "debian", "jars", "wheels-runtime", "wheels-learner"}  # stages, no images
SECRETS: Final = {
    "pip": ("DIDYMOS_BUILD_PIP", "PIP_CONFIG_FILE"),
    "ca": ("DIDYMOS_BUILD_CA", "SSL_CERT_FILE"),
    "maven": ("DIDYMOS_BUILD_MAVEN",),
}
BASES: Final = ("BASE", "DEBIAN")
LIMIT_BYTES: Final = {"service": 400_000_000}


class ImageError(RuntimeError):
    """What is missing or failed, and the next step."""


def version() -> str:
    return str(tomllib.loads((ROOT / "libs/kit/pyproject.toml").read_text())["project"]["version"])


def targets() -> list[str]:
    """The images that the Dockerfile makes, in its order."""
    names = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    return [name for name in names if name not in INNER]


def bases() -> Iterator[tuple[str, str]]:
    """Each argument that names an image to begin with, and that name."""
    text = DOCKERFILE.read_text()
    for name in BASES:
        found = re.search(rf"^ARG {name}=(\S+)$", text, re.MULTILINE)
        if found:
            yield name, os.environ.get(name) or found[1]


def secrets() -> Iterator[tuple[str, str]]:
    """Each secret of a build that the environment names, and its file."""
    for secret, variables in SECRETS.items():
        path = next((os.environ[name] for name in variables if os.environ.get(name)), "")
        if path and Path(path).is_file():
            yield secret, path


@dataclass(frozen=True, slots=True)
class Builder:
    """buildah or docker, told the same things in its own words."""

    program: str

    @property
    def environment(self) -> dict[str, str]:
        """Rootless defaults of buildah need what a container or a bare machine lacks."""
        own = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"} if self.program == "buildah" else {}
        return {**own, **os.environ, "DOCKER_BUILDKIT": "1"}

    def run(self, *words: str, quiet: bool = False) -> str:
        done = subprocess.run(
            [self.program, *words], cwd=ROOT, check=False, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else subprocess.STDOUT,
        )  # fmt: skip
        if done.returncode:
            raise ImageError(f"{self.program} {' '.join(words)}:\n{(done.stdout + (done.stderr or ''))[-3000:]}")
        return done.stdout

    def has(self, image: str) -> bool:
        try:
            return bool(self.run("inspect", "--type", "image", image, quiet=True))
        except ImageError:
            return False

    def build(self, target: str, image: str) -> None:
        words = ["build", "-f", str(DOCKERFILE), "--target", target, "-t", image]
        for name, base in bases():
            words += ["--build-arg", f"{name}={base}"]
        for secret, path in secrets():
            words += ["--secret", f"id={secret},src={path}"]
        if self.program == "buildah":
            words += ["--layers", "--pull=missing"]
        self.run(*words, ".")

    def size(self, image: str) -> int:
        if self.program == "docker":
            return int(self.run("image", "inspect", "--format", "{{.Size}}", image).strip())
        listed = json.loads(self.run("images", "--json", image, quiet=True))
        return _bytes(str(listed[0]["size"]))

    def save(self, image: str, path: Path) -> None:
        path.unlink(missing_ok=True)
        if self.program == "docker":
            self.run("save", "-o", str(path), image)
        else:
            self.run("push", image, f"docker-archive:{path}:{image}")


def _bytes(size: str) -> int:
    """Of buildah's `399 MB`."""
    figure, unit = size.split()
    return int(float(figure) * {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}[unit.upper()])


def builder() -> Builder:
    chosen = os.environ.get("DIDYMOS_BUILDER")
    for program in [chosen] if chosen else ["buildah", "docker"]:
        if shutil.which(program):
            return Builder(program)
    raise ImageError("neither buildah nor docker is here: install one (Debian: apt-get install buildah)")


def kit(program: str) -> Path | None:
    """A tool of the cluster kit, if there is one."""
    path = Path(os.environ.get("CLUSTER_KIT") or ROOT.parent / "shared/cluster") / program
    return path if path.exists() else None


def provide_bases(build: Builder) -> None:
    """Where no registry can be reached, the kit makes the bases from Debian's packages."""
    maker = kit("base-image")
    if maker is None or build.program != "buildah":
        return
    made = ""
    for _, base in bases():
        if build.has(base):
            continue
        if made:
            build.run("tag", made, base)
        else:
            subprocess.run([str(maker), base], check=True, env=build.environment)
            made = base


def make(build: Builder, target: str, tag: str) -> str:
    """The name of the image, built and weighed."""
    begun = time.monotonic()
    image = f"docker.io/didymos/{target}:{tag}"
    build.build(target, image)
    size = build.size(image)
    print(f"{image}  {size / 1e6:.0f} MB  {time.monotonic() - begun:.0f} s", flush=True)
    if size >= LIMIT_BYTES.get(target, size + 1):
        raise ImageError(f"{target} has {size / 1e6:.0f} MB, the limit is {LIMIT_BYTES[target] / 1e6:.0f} MB")
    return image


def deliver(build: Builder, image: str, folder: Path, *, load: bool) -> None:
    path = folder / f"{image.rpartition('/')[2].replace(':', '-')}.tar"
    build.save(image, path)
    if not load:
        return
    tool = kit("cluster")
    if tool is None:
        raise ImageError("--load needs the cluster kit: set CLUSTER_KIT")
    try:
        subprocess.run([str(tool), "load", str(path)], check=True, stdout=subprocess.DEVNULL)
    finally:
        path.unlink()


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="images", description=str(__doc__).partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(targets()))
    parser.add_argument("--tag", default=version())
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--save", type=Path, metavar="FOLDER", help="write an archive of each")
    where.add_argument("--load", action="store_true", help="hand each to the cluster of the kit")
    said = parser.parse_args(words)
    unknown = sorted(set(said.targets) - set(targets()))
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(targets())}")
    return said


def main(words: Sequence[str]) -> int:
    said = arguments(words)
    try:
        build = builder()
        provide_bases(build)
        if said.save:
            said.save.mkdir(parents=True, exist_ok=True)
        for target in said.targets or targets():
            image = make(build, target, said.tag)
            with tempfile.TemporaryDirectory(prefix="didymos-images-") as folder:
                if said.save or said.load:
                    deliver(build, image, said.save or Path(folder), load=said.load)
    except (ImageError, subprocess.CalledProcessError) as error:
        print(f"images: {error}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
