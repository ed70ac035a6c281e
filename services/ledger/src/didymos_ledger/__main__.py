"""`python -m didymos_ledger`: the service as a process; its role is a setting."""

from didymos_kit import process

from didymos_ledger.bootstrap import bootstrap
from didymos_ledger.settings import LedgerSettings

if __name__ == "__main__":
    raise SystemExit(process.main("ledger", LedgerSettings, bootstrap))
