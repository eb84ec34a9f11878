"""Collect the index of an epoch while it runs: pages touched, traps taken, console output."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.steplog import INTERRUPT
from rrdbg_core.trace.model import BINS, EpochIndex, window

Pages = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]


class EpochCollector:
    """Watches a core from one position on.

    Args:
        core: The core. Its `take_written`, `take_run`, `take_traps` and touched pages are the collector's from now on.
        start: The position it stands at.
    """

    def __init__(self, core: Core, start: int) -> None:
        self._core = core
        core.take_traps()
        self._start = start
        self._generation = core.new_generation()
        self._console: list[tuple[int, bytes]] = []
        core.take_written(self._generation)
        core.take_run(self._generation)

    def printed(self, step: int, data: bytes) -> None:
        """Take in output of a step: it is visible from the position behind it."""
        self._console.append((step + 1, data))

    def take(self, stop: int) -> tuple[EpochIndex, Pages, Words]:
        """Return the index of the steps up to `stop`, where the core stands, and start afresh.

        Returns:
            The index, the pages written and the lines of each.
        """
        core = self._core
        read, executed = core.touched(self._generation)
        self._generation = core.new_generation()
        written, lines, words = core.take_written(self._generation)
        run, run_lines, halves = core.take_run(self._generation)
        executed_lines = run_lines
        if len(run) < len(executed):  # nothing was started in some of them
            executed_lines = np.zeros(len(executed), np.uint64)
            executed_lines[np.searchsorted(executed, run)] = run_lines
        exceptions, interrupts = _histograms(core.take_traps(), *window(self._start, stop))
        console, self._console = tuple(self._console), []
        index = EpochIndex(
            *(self._start, stop, exceptions, interrupts, written, lines, words, read, executed),
            *(executed_lines, halves, console),
        )
        self._start = stop
        return index, written, lines


def _histograms(traps: Words, base: int, bin_steps: int) -> tuple[Pages, Pages]:
    """Return the exceptions and the interrupts by part of the window: two u32[BINS]."""
    if not len(traps):
        return np.zeros(BINS, np.uint32), np.zeros(BINS, np.uint32)
    bins = ((traps[:, 0] - np.uint64(base)) // np.uint64(bin_steps)).astype(np.int64)
    is_interrupt = traps[:, 1] >= np.uint64(INTERRUPT)
    exceptions, interrupts = (
        np.bincount(bins[chosen], minlength=BINS).astype(np.uint32) for chosen in (~is_interrupt, is_interrupt)
    )
    return exceptions, interrupts
