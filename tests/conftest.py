"""What holds for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine fails no test: how long an example takes is no property of what is tested.
settings.register_profile("found", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples each time: a change is not charged with what another day would have found.
settings.register_profile("same", settings.get_profile("found"), derandomize=True)
settings.load_profile("found")
