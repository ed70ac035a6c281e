"""Tests share their machine: what they find does not depend on how fast it is."""

from hypothesis import settings

settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
