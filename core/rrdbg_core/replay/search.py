"""Where a backward search has to look: the index of the trace rules most epochs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu.memory import LINE_BYTES, LINES_PER_PAGE, PAGE_BYTES, RAM_BASE, WORD_BYTES
from rrdbg_core.replay.targets import MemoryWatch, Targets
from rrdbg_core.trace.model import EpochIndex

MIN_WINDOW, MAX_WINDOW, WINDOW_SHARE = 1 << 19, 1 << 26, 8
"""Shortest window: below, going to its start takes longer than running through it. Farther back windows are longer, one
in so many of the steps that were searched in vain, up to a length that several processes can still share."""


def windows(
    lo: int,
    hi: int,
    places: Sequence[int],
    targets: Targets,
    epochs: Sequence[EpochIndex],
    poll: Callable[[int], None] = lambda icount: None,
    *,
    paged: bool = False,
) -> Iterator[tuple[int, int]]:
    """Yield the stretches of lo <= n < hi in which something can hit, the newest first.

    Args:
        lo: First step.
        hi: One past the last.
        places: Positions lo < p < hi that are quick to reach, ascending. A stretch does not span one, unless it would
            be short.
        targets: What is searched for.
        epochs: The index, ascending.
        poll: Called with the start of each epoch that is looked up; many take long, too.
        paged: Breaks are at virtual addresses, which may be mapped to any page.
    """
    candidates = _candidates(lo, hi, Sought(targets, paged=paged), epochs, poll)
    pending = next(candidates, None)
    upper = hi
    for place in reversed([lo, *places]):
        least = min(max((hi - upper) // WINDOW_SHARE, MIN_WINDOW), MAX_WINDOW)
        if upper - place < least and place != lo:
            continue
        # one pass through what lies between two places, from the first candidate to the last
        first = last = None
        while pending is not None and pending[1] > place:
            if pending[0] < upper:
                first = max(pending[0], place)
                last = last or min(pending[1], upper)
            if pending[0] < place:
                break
            pending = next(candidates, None)
        if first is not None and last is not None:
            yield first, last
        upper = place


def _candidates(
    lo: int, hi: int, sought: Sought, epochs: Sequence[EpochIndex], poll: Callable[[int], None]
) -> Iterator[tuple[int, int]]:
    """Yield the stretches of lo <= n < hi that the index does not rule out, the newest first."""
    upper = hi
    for number in reversed(range(len(epochs))):
        epoch = epochs[number]
        poll(epoch.start)
        if epoch.start >= hi:
            continue
        if epoch.stop < upper:
            yield max(epoch.stop, lo), upper  # nothing is known of it
        if epoch.stop <= lo:
            return
        start, stop = max(epoch.start, lo), min(epoch.stop, hi)
        if sought.may_hit(epoch, start, stop):
            yield start, stop
        upper = epoch.start
        if upper <= lo:
            return
    if lo < upper:
        yield lo, upper


class Sought:
    """What is searched for, as one asks the index.

    Args:
        targets: What is searched for; gates do not matter.
        paged: Breaks are at virtual addresses, which may be mapped to any page: the index knows physical ones.
    """

    def __init__(self, targets: Targets, *, paged: bool = False) -> None:
        self._targets = targets
        self._paged = paged
        places = np.array(sorted(targets.breaks), np.uint64) - np.uint64(RAM_BASE)
        # an address below RAM comes out as a page that no RAM has
        self._pages = places // np.uint64(PAGE_BYTES)
        self._lines = places % np.uint64(PAGE_BYTES) // np.uint64(LINE_BYTES)
        self._halves = places % np.uint64(LINE_BYTES) // np.uint64(2)

    def may_hit(self, epoch: EpochIndex, start: int, stop: int) -> bool:
        """Return False if nothing can hit in the steps start <= n < stop of an epoch."""
        targets = self._targets
        if targets.registers:
            return True
        if targets.exceptions and _any(epoch, epoch.exceptions, start, stop):
            return True
        if targets.interrupts and _any(epoch, epoch.interrupts, start, stop):
            return True
        return self._executed(epoch) or any(_touched(epoch, watch) for watch in targets.watches)

    def _executed(self, epoch: EpochIndex) -> bool:
        """Return whether an instruction was started at one of the breaks."""
        if not len(self._pages) or not len(epoch.executed):
            return False
        if self._paged:
            return self._executed_in_any_page(epoch)
        one = np.uint64(1)
        at = np.searchsorted(epoch.executed, self._pages)
        known = epoch.executed[np.minimum(at, len(epoch.executed) - 1)] == self._pages
        at, lines, halves = at[known], self._lines[known], self._halves[known]
        masks = epoch.executed_lines[at]
        known = masks >> lines & one != 0
        at, lines, halves, masks = at[known], lines[known], halves[known], masks[known]
        if not len(at):
            return False
        starts = np.cumsum(np.bitwise_count(epoch.executed_lines), dtype=np.int64)  # where the next page's lines begin
        behind = np.bitwise_count(masks >> lines).astype(np.int64)
        return bool((epoch.executed_halves[starts[at] - behind] >> halves & one).any())

    def _executed_in_any_page(self, epoch: EpochIndex) -> bool:
        """Return whether an instruction was started at the place of one of the breaks within a page."""
        masks, one = epoch.executed_lines, np.uint64(1)
        starts = np.cumsum(np.bitwise_count(masks), dtype=np.int64)
        for line, half in set(zip(self._lines.tolist(), self._halves.tolist(), strict=True)):
            at = np.flatnonzero(masks >> np.uint64(line) & one)
            behind = np.bitwise_count(masks[at] >> np.uint64(line)).astype(np.int64)
            if (epoch.executed_halves[starts[at] - behind] >> np.uint32(half) & np.uint32(1)).any():
                return True
        return False


def _any(epoch: EpochIndex, bins: npt.NDArray[np.uint32], start: int, stop: int) -> bool:
    base, steps = epoch.window
    return bool(bins[(start - base) // steps : -(-(stop - base) // steps)].any())


def _touched(epoch: EpochIndex, watch: MemoryWatch) -> bool:
    """Return whether a watched stretch was accessed: by page for reads, by 8-byte word for writes."""
    first, last = watch.address - RAM_BASE, watch.address + watch.length - 1 - RAM_BASE
    if last < 0:
        return False
    pages = max(first, 0) // PAGE_BYTES, last // PAGE_BYTES
    if watch.reads:
        at = int(np.searchsorted(epoch.read, pages[0]))
        if at < len(epoch.read) and int(epoch.read[at]) <= pages[1]:
            return True
    if not (watch.writes or watch.changes):
        return False
    at = int(np.searchsorted(epoch.written, pages[0]))
    starts = np.cumsum(np.bitwise_count(epoch.written_lines), dtype=np.int64)  # where the next page's lines begin
    lines = max(first, 0) // LINE_BYTES, last // LINE_BYTES
    while at < len(epoch.written) and (page := int(epoch.written[at])) <= pages[1]:
        low = max(lines[0] - page * LINES_PER_PAGE, 0)
        high = min(lines[1] - page * LINES_PER_PAGE, LINES_PER_PAGE - 1)
        mask = int(epoch.written_lines[at])
        for line in range(low, high + 1):
            if mask >> line & 1:
                behind = (mask >> line).bit_count()
                words = int(epoch.written_words[int(starts[at]) - behind])
                if words & _words_of(page * LINES_PER_PAGE + line, first, last):
                    return True
        at += 1
    return False


def _words_of(line: int, first: int, last: int) -> int:
    """Return the mask of the words of a line of RAM that bytes `first` to `last` touch."""
    low = max(first // WORD_BYTES - line * 8, 0)
    high = min(last // WORD_BYTES - line * 8, 7)
    return (1 << high + 1) - (1 << low)
