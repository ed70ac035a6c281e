"""Errors of the identity room."""

from didymos_contracts.errors.row import Row
