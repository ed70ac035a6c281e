"""Errors of the steward room."""

from didymos_contracts.errors.row import Row
