"""Errors of the market room."""
