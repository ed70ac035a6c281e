"""Errors of the ingestion room."""
