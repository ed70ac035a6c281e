"""Errors of the twin room."""
