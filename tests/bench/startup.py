"""How long a user waits before anything happens."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.measure import Figure, wall

RRDBG = [sys.executable, "-m", "rrdbg"]


def startup(runs: int, say: Callable[[str], None]) -> list[Figure]:
    """Measure the first ever start, a later one, and the help."""
    first, later, helped = [], [], []
    for run in range(runs):
        say(f"starts: run {run + 1} of {runs}")
        with tempfile.TemporaryDirectory() as folder:
            env = {**os.environ, "RRDBG_CACHE": str(Path(folder) / "cache")}
            # hello makes 8,920 steps: the whole process is an upper bound of the way to the first instruction
            command = [*RRDBG, "record", "guest:hello", "--no-input", "-q", "-f", "-o", str(Path(folder) / "hello.rrt")]
            first.append(wall(command, env=env))
            later.append(wall(command, env=env))
        helped.append(wall([*RRDBG, "--help"]))
    figures = [
        Figure("first ever start, compilation included", "s", tuple(first), "at most 20"),
        Figure("later start, a whole run of hello", "s", tuple(later), "at most 1"),
        Figure("rrdbg --help", "s", tuple(helped), "at most 0.25"),
    ]
    return [Figure(f.name, f.unit, f.samples, f.goal, f.median <= float(f.goal.rpartition(" ")[2])) for f in figures]
