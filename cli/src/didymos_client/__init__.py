"""Runs and models from a notebook: `from didymos_client import Client`. Its calls block.

See docs/guides/train-from-a-notebook.md, whose example a test runs.
"""

from didymos_client.session import Client, Model, Run

__all__ = ["Client", "Model", "Run"]
