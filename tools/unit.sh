#!/usr/bin/env bash
# Unit and contract tests on the embedded adapters. Slow ones: `make test`; those of the chart: `make chart-test`.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/pytest -n 3 --dist worksteal -m "not servers and not chaos and not slow" libs services cli tests --ignore tests/chart "$@"
