"""`prune.py PACKAGES`: from an environment that trains on processors, take what only a graphics card uses.

The wheel of torch is linked with the libraries of one maker of cards, and does not load without them. Those that it
opens only when there is a card go, and so does the compiler for cards.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOTS = ("libtorch_python.so", "libtorch.so", "libtorch_cpu.so")


def needed(library: Path) -> list[str]:
    said = subprocess.run(["readelf", "-d", str(library)], check=True, capture_output=True, text=True).stdout
    return [line.partition("[")[2].rstrip("]") for line in said.splitlines() if "(NEEDED)" in line]


def main(packages: Path) -> None:
    shutil.rmtree(packages / "triton", ignore_errors=True)
    cards = {path.name: path for path in packages.glob("nvidia/**/*.so*")}
    libraries = {path.name: path for path in packages.glob("torch/lib/*.so*")} | cards
    kept: set[str] = set()
    waiting = [name for name in ROOTS if name in libraries]
    while waiting:
        name = waiting.pop()
        if name not in kept and name in libraries:
            kept.add(name)
            waiting += needed(libraries[name])
    for name, path in cards.items():
        if name not in kept:
            path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
