"""The hot store: scripts that run as one step, and messages that may be lost. Two adapters: `redis`, `fake`."""

from didymos_kit.hot.port import Argument, Hot, Listener, Script

__all__ = ["Argument", "Hot", "Listener", "Script"]
