"""Errors of the market room."""

from didymos_contracts.errors.row import Row
