"""Collect the index of an epoch while it runs: pages touched, traps taken, console output."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.steplog import INTERRUPT
from rrdbg_core.trace.model import BINS, EPOCH, EpochIndex

Pages = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]

_BIN = EPOCH // BINS


class EpochCollector:
    """Watches a core from one position on.

    Args:
        core: The core. Its `take_written`, `take_run`, `take_traps` and touched pages are the collector's from now on.
        start: The position it stands at.
    """

    def __init__(self, core: Core, start: int) -> None:
        self._core = core
        core.take_written()
        core.take_run()
        core.take_traps()
        self._begin(start)

    def _begin(self, start: int) -> None:
        self._start = start
        self._generation = int(self._core.new_generation())
        self._console: list[tuple[int, bytes]] = []

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
        written, lines, words = core.take_written()
        run, run_lines, halves = core.take_run()
        executed_lines = np.zeros(len(executed), np.uint64)
        executed_lines[np.searchsorted(executed, run)] = run_lines
        exceptions, interrupts = _histograms(core.take_traps())
        console, self._console = tuple(self._console), []
        index = EpochIndex(
            *(self._start, stop, exceptions, interrupts, written, lines, words, read, executed),
            *(executed_lines, halves, console),
        )
        self._begin(stop)
        return index, written, lines


def _histograms(traps: Words) -> tuple[Pages, Pages]:
    """Return the exceptions and the interrupts by bin: two u32[BINS]."""
    bins = (traps[:, 0] % np.uint64(EPOCH) // np.uint64(_BIN)).astype(np.int64)
    is_interrupt = traps[:, 1] >= np.uint64(INTERRUPT)
    exceptions, interrupts = (
        np.bincount(bins[chosen], minlength=BINS).astype(np.uint32) for chosen in (~is_interrupt, is_interrupt)
    )
    return exceptions, interrupts
