#!/usr/bin/env bash
# Make .venv with every requirement, by hash, and this tree's packages editable.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ "$version" = 3.11 ] || { echo "setup: Python 3.11 is needed, $PYTHON is $version; set PYTHON=..." >&2; exit 4; }
[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
echo "setup: build tools" >&2
.venv/bin/python -m pip install -q --require-hashes -r requirements/build.txt
echo "setup: requirements (torch is large; the first time takes a minute or two)" >&2
.venv/bin/uv pip install -q --require-hashes -r requirements/dev.txt -r requirements/torch.txt
echo "setup: the packages of this tree" >&2
packages=()
for project in libs/*/pyproject.toml services/*/pyproject.toml cli/pyproject.toml; do packages+=(-e "$(dirname "$project")"); done
.venv/bin/uv pip install -q --no-deps --no-build-isolation "${packages[@]}"
mkdir -p build && touch build/.setup
