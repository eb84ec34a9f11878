"""What holds for all tests."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from rrdbg_core.cpu import build

# A busy machine fails no test: how long an example takes is no property of what is tested.
settings.register_profile("found", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples each time: a change is not charged with what another day would have found.
settings.register_profile("same", settings.get_profile("found"), derandomize=True)
settings.load_profile("found")


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """Have the guest CPU compiled before the first test: whoever does it says so, and what is said is compared."""
    build.object_code()
