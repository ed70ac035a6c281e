"""Errors of the ingestion room."""

from didymos_contracts.errors.row import Row
