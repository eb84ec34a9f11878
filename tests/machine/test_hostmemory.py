"""Freed memory stays with the process: it is not fetched anew page by page."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ROUNDS = """
import resource, sys
from rrdbg_core.machine.hostmemory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
bytes(4_000_000)
for number in range(12):
    if number == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [b"x" * 3_900_000 for _ in range(3)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""Takes and frees 12 MB ten times, and prints how many pages came from the operating system."""


def faults(how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", ROUNDS, how], check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_freed_memory_is_used_again() -> None:
    assert faults("kept") < 100
    assert faults("left alone") > 1000  # else there is nothing to do for it
