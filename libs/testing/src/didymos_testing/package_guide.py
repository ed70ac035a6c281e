"""A guide by which a newcomer makes a package: its files and its two commands, done as it says."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class PackageGuide:
    """`files`: by path, as the first line of each block names it. `commands`: one that installs, one that is run."""

    text: str
    files: dict[str, str]
    commands: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        files = dict(re.findall(r"```(?:toml|python)\n# (\S+)\n(.*?)```", text, re.DOTALL))
        blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        return cls(text, files, tuple(line for block in blocks for line in block.splitlines()))

    def lines(self, folder: str) -> int:
        """Lines that are written under a folder, the empty ones left out."""
        written = [text for name, text in self.files.items() if name.startswith(f"{folder}/")]
        return sum(bool(line.strip()) for text in written for line in text.splitlines())

    def follow(self, root: Path, folder: Path) -> str:
        """Writes, installs aside and runs it all in `folder`, on the tree at `root`; what the last command prints."""
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for shared in (".venv", "data"):
            (folder / shared).symlink_to(root / shared)
        install, run = (shlex.split(line) for line in self.commands)
        aside = [*install[:3], "-q", "--target", "installed", "--python", sys.executable, *install[3:]]
        subprocess.run(aside, cwd=folder, check=True, timeout=300)  # noqa: S603 - what our own guide says
        done = subprocess.run(  # noqa: S603 - the same
            run, cwd=folder, check=True, capture_output=True, text=True, timeout=300, env={"PYTHONPATH": "installed"}
        )
        return done.stdout.strip()


def claim_names(folder: Path, group: str, claims: Iterable[tuple[str, str]]) -> None:
    """Installed packages in a folder, each with the entry points of `group` that it claims: (package, lines)."""
    for name, claimed in claims:
        package = folder / f"{name}-1.dist-info"
        package.mkdir()
        (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (package / "entry_points.txt").write_text(f"[{group}]\n{claimed}\n")
