"""`python -m didymos_identity`: identity as a process of its own."""

from didymos_kit import process

from didymos_identity.bootstrap import NAME, bootstrap
from didymos_identity.settings import IdentitySettings

if __name__ == "__main__":
    raise SystemExit(process.main(NAME, IdentitySettings, bootstrap))
