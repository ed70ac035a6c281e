#!/usr/bin/env bash
# Unit and contract tests on the embedded adapters, with the coverage bar of the pure parts. Slow ones: `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/pytest -n 2 --dist loadfile -m "not servers and not chaos and not slow" libs services cli tests \
  --cov --cov-report= --cov-config=pyproject.toml "$@"
.venv/bin/python tools/coverage_bar.py
