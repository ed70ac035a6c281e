"""Use cases, one a file: they order steps over ports, and commit nothing."""
