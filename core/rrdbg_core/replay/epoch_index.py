"""Collect the index of an epoch while it runs: pages touched, traps taken, console output."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.marks import Touched
from rrdbg_core.cpu.steplog import INTERRUPT
from rrdbg_core.trace.model import BINS, NO_TRAPS, EpochIndex, window

Pages = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]


class Collected(NamedTuple):
    """What was collected of an epoch. Made of it is an index only when it is written: then the code for it is warm."""

    start: int
    """First step."""
    stop: int
    """One past the last step."""
    touched: Touched
    """Pages and lines."""
    traps: Words
    """See `Core.take_traps`."""
    console: list[tuple[int, bytes]]
    """See `EpochIndex`."""

    def to_index(self) -> EpochIndex:
        """Return the index of the epoch."""
        touched = self.touched
        exceptions, interrupts = _histograms(self.traps, self.start, self.stop)
        return EpochIndex(
            start=self.start,
            stop=self.stop,
            exceptions=exceptions,
            interrupts=interrupts,
            written=touched.written,
            written_lines=touched.written_lines,
            written_words=touched.written_words,
            read=touched.read,
            executed=touched.executed,
            executed_lines=touched.executed_lines,
            executed_halves=touched.executed_halves,
            console=tuple(self.console),
        )


class EpochCollector:
    """Watches a core from one position on.

    Args:
        core: The core. Its `take_touched`, `take_written`, `take_run` and `take_traps` are the collector's from now on.
        start: The position it stands at.
    """

    def __init__(self, core: Core, start: int) -> None:
        self._core = core
        self._start = start
        self._console: list[tuple[int, bytes]] = []
        core.take_traps()
        core.take_touched()

    def printed(self, step: int, data: bytes) -> None:
        """Take in output of a step: it is visible from the position behind it."""
        self._console.append((step + 1, data))

    def take(self, stop: int) -> Collected:
        """Return what was collected in the steps up to `stop`, where the core stands, and start afresh.

        The core starts a new generation of dirty pages.
        """
        core = self._core
        collected = Collected(self._start, stop, core.take_touched(), core.take_traps(), self._console)
        self._start, self._console = stop, []
        return collected


def _histograms(traps: Words, start: int, stop: int) -> tuple[Pages, Pages]:
    """Return the exceptions and the interrupts by part of the steps' window: two u32[BINS]."""
    if not len(traps):
        return NO_TRAPS, NO_TRAPS
    base, bin_steps = window(start, stop)
    bins = ((traps[:, 0] - np.uint64(base)) // np.uint64(bin_steps)).astype(np.int64)
    is_interrupt = traps[:, 1] >= np.uint64(INTERRUPT)
    exceptions, interrupts = (
        np.bincount(bins[chosen], minlength=BINS).astype(np.uint32) for chosen in (~is_interrupt, is_interrupt)
    )
    return exceptions, interrupts
