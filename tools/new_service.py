"""`make new-service NAME=parking`: a service that starts and passes its tests, copied from services/template-service.

The template is a service of this tree, so every lint, type and test that holds here holds for what comes out.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TEMPLATE: Final = "template-service"
NAME: Final = re.compile(r"[a-z][a-z0-9]{1,30}(-[a-z0-9]{1,30}){0,3}")
SKIPPED: Final = shutil.ignore_patterns("__pycache__", "*.egg-info")
UP: Final = Path("cli/src/didymos_cli/up.py")
VALUES: Final = Path("charts/didymos/values.yaml")
SKAFFOLD: Final = Path("skaffold.yaml")
BLOCK: Final = "  {name}:\n    calls: [identity]\n    roles:\n      all: {{}}\n"
SYNC: Final = '          - {{src: "services/{name}/src/**/*.py", dest: /opt/code, strip: services/{name}/src/}}\n'


class RefusedError(ValueError):
    """The service is not made, and nothing was changed."""


def spellings(name: str) -> Mapping[str, str]:
    """What stands for the template's name in files and paths: `car-park`, `car_park`, `CarPark`."""

    def camel(dashed: str) -> str:
        return "".join(word.capitalize() for word in dashed.split("-"))

    return {
        TEMPLATE: name,
        TEMPLATE.replace("-", "_"): name.replace("-", "_"),
        camel(TEMPLATE): camel(name),
    }


def renamed(text: str, name: str) -> str:
    for old, new in spellings(name).items():
        text = text.replace(old, new)
    return text


def check(root: Path, name: str) -> None:
    """Raises RefusedError for a name that cannot be one, or is taken."""
    if not NAME.fullmatch(name):
        raise RefusedError(f"{name!r}: a service is called by lower-case words joined by dashes, such as car-park")
    package = f"didymos_{name.replace('-', '_')}"
    taken = {path.name for parent in ("services", "libs") for path in (root / parent).glob("*")}
    if name in taken | {"cli", "contracts", TEMPLATE} or list(root.glob(f"*/*/src/{package}")):
        raise RefusedError(f"{name}: this name is taken")


def copy(root: Path, name: str) -> Path:
    """The template under its new name; the folder."""
    target = root / "services" / name
    shutil.copytree(root / "services" / TEMPLATE, target, ignore=SKIPPED)
    for path in sorted(target.rglob("*"), key=lambda found: -len(found.parts)):  # the deepest first
        if path.is_file():
            path.write_text(_own_words(renamed(path.read_text(), name), path, name))
        path.rename(path.with_name(renamed(path.name, name)))
    return target


def _own_words(text: str, path: Path, name: str) -> str:
    """What is true of the template only is not said of the copy."""
    if path.name != "README.md":
        return text
    said = "Short notes that owners keep about their twins: made by `make new-service`, to be replaced by what"
    head, _, rest = text.partition("\n\n")
    _, _, tables = rest.partition("\n\n")
    return f"{head}\n\n{said} {name} is for.\n\n{tables}"


def enter(root: Path, name: str) -> list[Path]:
    """Add the service wherever services are listed; the files that changed."""
    changed = []
    for path, text in _entered(root, name):
        path.write_text(text)
        changed.append(path)
    return changed


def _entered(root: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Beside each line about the template, the same about the service; its place in `didymos up` and in the chart."""
    for path in (root / ".importlinter", root / "pyproject.toml"):
        lines = []
        for line in path.read_text().splitlines(keepends=True):
            lines.append(line)
            if renamed(line, name) != line:
                lines.append(renamed(line, name))
        yield path, "".join(lines)
    rows = root / "telemetry" / "metrics.yaml"
    yield rows, re.sub(r"(?m)^(  services: \[.*), other\]$", rf"\1, {name}, other]", rows.read_text(), count=1)
    up = root / UP
    values = root / VALUES  # the last of the services: the gateway comes after them
    yield values, values.read_text().replace("\n\ngateway:\n", f"\n{BLOCK.format(name=name)}\ngateway:\n", 1)
    skaffold = root / SKAFFOLD
    yield (
        skaffold,
        re.sub(
            r"(?m)((?:^ +- \{src: \"services/.*\n)+)", rf"\1{SYNC.format(name=name)}", skaffold.read_text(), count=1
        ),
    )
    yield up, re.sub(r"(?s)(SERVICES: Final = \(\n.*?),\n\)", rf'\1,\n    "{name}",\n)', up.read_text(), count=1)


def make(root: Path, name: str) -> list[Path]:
    """Raises RefusedError; all that was made or changed."""
    check(root, name)
    made = [copy(root, name), *enter(root, name)]
    for step in ("check", "--fix"), ("format",):  # another name sorts elsewhere among the imports
        subprocess.run([sys.executable, "-m", "ruff", *step, "-q", "--no-cache", made[0]], check=True, cwd=root)
    return made


def install(root: Path, name: str) -> None:
    """Make the package importable here, and the metrics know its label."""
    python = root / ".venv" / "bin" / "python"
    package = root / "services" / name
    options = ("-q", "--no-deps", "--no-build-isolation", "-e")
    subprocess.run([root / ".venv" / "bin" / "uv", "pip", "install", *options, package], check=True, cwd=root)
    subprocess.run([python, "tools/metrics.py"], check=True, cwd=root)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not arguments[0]:
        print("usage: make new-service NAME=car-park", file=sys.stderr)
        return 2
    (name,) = arguments
    try:
        made = make(ROOT, name)
    except RefusedError as error:
        print(f"new-service: {error}", file=sys.stderr)
        return 2
    install(ROOT, name)
    for path in made:
        print(path.relative_to(ROOT))
    print(f"try it: .venv/bin/pytest services/{name}; then make chart-generate", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
