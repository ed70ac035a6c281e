"""Tests judge what is right, not how fast it came: a machine that stalls fails no property.

`HYPOTHESIS_PROFILE=quick` tries fewer examples of each property, as `make check` does; `make test` tries all.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("patient"), max_examples=25)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "patient"))
