"""Compare a replay with its recording as it passes: check words and digests."""

from __future__ import annotations

import time
from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.source import Divergence
from rrdbg_core.machine.stats import Meter
from rrdbg_core.trace.model import CHECK_PERIOD
from rrdbg_core.trace.reader import Trace

HINT = "`rrdbg verify` narrows it down"


class Diverged(Divergence):
    """The state of a replay differs from the recording.

    Attributes:
        lo: Last position at which they agreed.
        hi: First position at which they differ.
    """

    def __init__(self, message: str, lo: int, hi: int) -> None:
        super().__init__(message, hint=HINT)
        self.lo, self.hi = lo, hi


class Checker:
    """Compares check words whenever they are passed, digests when they are passed for the first time."""

    def __init__(self, trace: Trace, machine: Machine) -> None:
        self._trace, self._machine = trace, machine
        self._first = trace.start_icount // CHECK_PERIOD + 1
        self._next = self._first
        self._seen: set[int] = set()
        self.words, self.digests = Meter(), Meter()  # what was compared
        self.refresh()

    def refresh(self) -> None:
        """Take in what the trace has got."""
        self._words: npt.NDArray[np.uint64] = self._trace.checks
        self._digests = dict(self._trace.digests)
        self._digest_icounts = sorted(self._digests)

    def moved(self) -> None:
        """Learn that the machine was put to another position."""
        self._machine.core.take_checks()
        self._next = self._machine.icount // CHECK_PERIOD + 1

    def next_stop(self, icount: int, limit: int) -> int:
        """Return the first position behind `icount` whose digest is still to be compared, or `limit`."""
        for index in range(bisect_right(self._digest_icounts, icount), len(self._digest_icounts)):
            position = self._digest_icounts[index]
            if position >= limit:
                break
            if position not in self._seen:
                return position
        return limit

    def compare(self) -> None:
        """Compare the check words since the last time, and the digest of this position if it is due.

        Raises:
            Diverged: They differ.
        """
        began_ns = time.perf_counter_ns()
        words = self._machine.core.take_checks()
        if len(words):
            start = self._next - self._first
            recorded = self._words[start : start + len(words)]
            different = np.flatnonzero(recorded != words[: len(recorded)])
            if len(different):
                hi = (self._next + int(different[0])) * CHECK_PERIOD
                raise Diverged(
                    f"replay differs from the recording between icount {hi - CHECK_PERIOD} and {hi} (check word)",
                    hi - CHECK_PERIOD,
                    hi,
                )
            self._next += len(words)
        self.words.add(time.perf_counter_ns() - began_ns, len(words))
        icount = self._machine.icount
        if icount in self._digests and icount not in self._seen:
            with self.digests.timing():
                digest = self._machine.digest()
            if digest != self._digests[icount]:
                index = self._digest_icounts.index(icount)
                lo = self._digest_icounts[index - 1] if index else self._trace.start_icount
                raise Diverged(
                    f"replay differs from the recording at icount {icount} (digest), though all check words up to "
                    "there agree",
                    lo,
                    icount,
                )
            self._seen.add(icount)
