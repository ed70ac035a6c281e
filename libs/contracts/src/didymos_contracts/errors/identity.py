"""Errors of the identity room."""
