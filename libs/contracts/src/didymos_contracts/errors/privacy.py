"""Errors of the privacy room."""

from didymos_contracts.errors.row import Row
