"""Errors of the twin room."""

from didymos_contracts.errors.row import Row
