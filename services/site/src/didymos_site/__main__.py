"""`python -m didymos_site --folder DIR --coordinator host:port --coordinator-did DID --organisation DID`."""

import sys

from didymos_site.bootstrap import enrol, run, show
from didymos_site.entrypoints.cli import Commands, main

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], Commands(run, enrol, show)))
