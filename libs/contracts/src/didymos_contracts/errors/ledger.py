"""Errors of the ledger room."""

from didymos_contracts.errors.row import Row
