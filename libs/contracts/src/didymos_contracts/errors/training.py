"""Errors of the training room."""
