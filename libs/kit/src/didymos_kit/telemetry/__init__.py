"""Traces and metrics: the only place that imports the client libraries."""
