"""`python -m didymos_site --folder DIR --coordinator host:port --coordinator-did DID --organisation DID`."""

import sys

from didymos_site.bootstrap import enrol, run
from didymos_site.entrypoints.cli import main

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], run, enrol))
