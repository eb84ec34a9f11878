"""Regions of guests that take much of the address space."""

from __future__ import annotations

import subprocess
import sys


def test_a_region_is_linked_where_free_memory_is_far_apart() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.cpu.far_apart"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
