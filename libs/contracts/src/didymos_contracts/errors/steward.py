"""Errors of the steward room."""
