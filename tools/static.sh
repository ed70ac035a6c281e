#!/usr/bin/env bash
# Formatting, lint, types, import contracts, buf and everything generated. The first failure stops.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
step() { printf '%6ss  %s\n' "$SECONDS" "$*" >&2; }
step ruff format && $bin/ruff format -q --check .
step ruff check && $bin/ruff check -q .
step buf lint && $bin/buf lint
if [ -f protos/released.binpb ]; then step buf breaking && $bin/buf breaking --against protos/released.binpb; fi
step stubs && $bin/python tools/protos.py --check
step metrics && $bin/python tools/metrics.py --check
step openapi && $bin/python tools/openapi.py --check 2>build/openapi.log || { cat build/openapi.log >&2; exit 1; }
step dashboards && $bin/python -m telemetry.dashboards --check
step import contracts && $bin/lint-imports --no-cache >build/imports.log 2>&1 || { cat build/imports.log >&2; exit 1; }
step house rules && $bin/python tools/house.py
# A folder with a hyphen is no package to mypy: the tests of such services are checked one service at a time.
step mypy && $bin/mypy --cache-dir build/mypy --exclude '^services/[a-z]+-[a-z-]+/tests/' libs services cli tools telemetry tests
for tests in services/*-*/tests; do step "mypy $tests" && $bin/mypy --cache-dir build/mypy "$tests"; done
step done
