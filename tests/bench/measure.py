"""How things are timed: whole processes or calls, on one core, as minimum, median and maximum."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CORE = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
"""The core that everything measured is pinned to."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity."""

    name: str
    """What was measured."""
    unit: str
    """Unit of the samples."""
    samples: tuple[float, ...]
    """Every value."""
    goal: str = ""
    """What is asked of it, for the report."""
    met: bool | None = None
    """Whether the goal is met; None: there is none."""

    @property
    def median(self) -> float:
        """Middle sample."""
        return statistics.median(self.samples)

    def row(self) -> str:
        """Return one line: name, minimum, median, maximum, goal."""
        low, high = min(self.samples), max(self.samples)
        mark = "" if self.met is None else "  ok" if self.met else "  MISSED"
        goal = f"  ({self.goal})" if self.goal else ""
        return f"{self.name:<52} {low:>9.4g} {self.median:>9.4g} {high:>9.4g} {self.unit:<8}{goal}{mark}"

    def as_json(self) -> dict[str, object]:
        """Return everything as JSON values."""
        return {
            "name": self.name,
            "unit": self.unit,
            "samples": list(self.samples),
            "median": self.median,
            "goal": self.goal,
            "met": self.met,
        }


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the sample that `share` of all samples do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * len(ordered) * 1000) // 1000) - 1))]


def pinned() -> None:
    """Pin the calling process to the core of the benchmarks, where the operating system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORE})


def wall(command: Sequence[str], *, env: dict[str, str] | None = None, ok: Sequence[int] = (0,)) -> float:
    """Run a command on one core and return its wall time in seconds.

    Raises:
        SystemExit: It failed: a benchmark of a failure says nothing.
    """
    started = time.perf_counter()
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, preexec_fn=pinned)
    seconds = time.perf_counter() - started
    if done.returncode not in ok:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.decode(errors='replace')[-2000:]}")
    return seconds


def timed(call: Callable[[], object]) -> float:
    """Return the wall time of one call in seconds."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def peak_bytes() -> int:
    """Return the largest resident size this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
