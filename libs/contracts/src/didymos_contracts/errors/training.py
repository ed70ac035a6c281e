"""Errors of the training room."""

from didymos_contracts.errors.row import Row
