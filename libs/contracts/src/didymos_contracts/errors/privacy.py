"""Errors of the privacy room."""
