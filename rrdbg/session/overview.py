"""The trace as a whole: what is known of it, its events, its console output and its timeline.

The trace's index answers for whole epochs. What it does not cover (the stretch after the last whole epoch of a
recording that was killed or still runs) is replayed once and remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from rrdbg_core.trace.model import EPOCH, EpochIndex
from rrdbg_core.trace.printed import Positions, Printed

from rrdbg.session.api import EventRow, Lane, Timeline, TraceInfo
from rrdbg.session.errors import UsageError
from rrdbg.session.stepping_out import SteppingOut
from rrdbg.session.values import ConsoleOutput

BIN = 1 << 18
"""Steps that are looked at together where the index is too coarse."""
EXACT_STEPS = 4 * BIN
"""Windows up to this are replayed: some 10 ms of work, and the counts are exact."""
MAX_REPLAYED = 2 * EPOCH
"""Steps outside of the index that a timeline replays; what is beyond stays empty."""
MAX_BUCKETS = 1 << 16
_REMEMBERED = 256

Counts = npt.NDArray[np.int64]
Stretch = tuple[int, int]
T = TypeVar("T")
_NONE: Positions = np.zeros(0, np.int64)


class Overview(SteppingOut):
    """The part of a session that knows the whole trace."""

    def _setup(self) -> None:
        super()._setup()
        self._found_traps: dict[Stretch, tuple[Positions, Positions]] = {}
        self._found_console: dict[Stretch, Printed] = {}
        self._outputs: dict[Stretch, Printed] = {}

    def info(self) -> TraceInfo:
        """Return what is known of the whole trace."""
        self._check_open()
        return self._source.info()

    def events(self, first: int = 0, count: int = 1000) -> tuple[EventRow, ...]:
        """Return journal events by number."""
        self._check_open()
        return self._source.event_rows(first, count)

    # console

    def console(self, lo: int = 0, hi: int | None = None) -> ConsoleOutput:
        """Return console output that appeared at positions lo < p <= hi."""
        self._check_open()
        lo, hi = max(lo, 0), self.icount if hi is None else min(hi, self.end)
        if lo >= hi:
            return ConsoleOutput(b"", b"", b"")
        found = self._console(lo, hi, self._gaps(lo, hi))
        sizes = np.concatenate([_NONE, *(piece.sizes for piece in found)])
        return ConsoleOutput(
            np.concatenate([_NONE, *(piece.at for piece in found)]).tobytes(),
            sizes.cumsum().tobytes(),
            b"".join(piece.data for piece in found),
        )

    def _console(self, lo: int, hi: int, gaps: Sequence[Stretch]) -> list[Printed]:
        """Return what the index and the gaps hold of positions lo < p <= hi, by position."""
        found: list[tuple[int, Printed]] = []
        for number, span in self._spans(lo, hi):
            output = self._outputs.get(span)
            if output is None:
                output = self._outputs[span] = Printed.of(self._source.epochs()[number].console)
            found.append((span[0], output))
        missing = [gap for gap in gaps if gap not in self._found_console]
        if missing:
            with self._excursion("looking for console output", missing[0][0], missing[-1][1]):
                for gap in missing:
                    start, known = _beginning(self._found_console, gap, Printed.of(()))
                    self._found_console[gap] = known + Printed.of(self._engine.console(start, gap[1]))
        found += [(gap[0], self._found_console[gap]) for gap in gaps]
        return [output.cut(lo, hi) for _, output in sorted(found, key=lambda pair: pair[0])]

    # the index

    def _epochs(self, lo: int, hi: int) -> list[EpochIndex]:
        epochs = self._source.epochs()
        return [epochs[number] for number, _ in self._spans(lo, hi)]

    def _spans(self, lo: int, hi: int) -> list[tuple[int, Stretch]]:
        """Return the numbers and stretches of the parts of the index that a window meets."""
        spans = self._source.epoch_spans()
        return [(number, span) for number, span in enumerate(spans) if span[0] < hi and lo < span[1]]

    def _gaps(self, lo: int, hi: int) -> list[Stretch]:
        """Return the stretches around a window that the index does not cover; none is longer than an epoch."""
        gaps: list[Stretch] = []
        at = 0
        for start, stop in [*self._source.epoch_spans(), (self.end, self.end)]:
            while at < start:
                end = min(at - at % EPOCH + EPOCH, start)
                if at < hi and lo < end:
                    gaps.append((at, end))
                at = end
            at = max(at, stop)
        return gaps

    # timeline

    def timeline(self, lo: int, hi: int, buckets: int) -> Timeline:
        """Return the timeline of positions lo <= p < hi."""
        self._check_open()
        if not (0 <= lo < hi and 0 < buckets <= MAX_BUCKETS):
            raise UsageError(f"no timeline from {lo:_} to {hi:_} in {buckets} parts")
        count = _Counter(lo, hi, buckets)
        stop = min(hi, self.end)
        gaps = self._gaps(lo, stop)
        known = sum(b - a for a, b in gaps) <= MAX_REPLAYED
        if not known:
            gaps = []
        if hi - lo <= EXACT_STEPS:
            traps, interrupts = self._exact_traps(lo, stop)
            lanes = [count.lane("traps", traps), count.lane("interrupts", interrupts)]
        else:
            lanes = [
                self._wide("traps", count, gaps, known, lambda epoch: epoch.exceptions, 0),
                self._wide("interrupts", count, gaps, known, lambda epoch: epoch.interrupts, 1),
            ]
        found = self._console(lo, stop, gaps)
        # output belongs to the step that made it
        steps = np.concatenate([_NONE, *(piece.at for piece in found)]) - 1
        sizes = np.concatenate([_NONE, *(piece.sizes for piece in found)])
        lanes.append(count.lane("console", steps, sizes, known))
        lanes += [
            count.lane("input", self._source.inputs(lo, hi)),
            count.lane("bookmarks", [mark.icount for mark in self._user.bookmarks()]),
            count.lane("notes", [note.icount for note in self._user.notes()]),
            count.lane("snapshots", self._source.info().snapshots),
        ]
        return Timeline(lo, hi, buckets, tuple(lanes))

    def _wide(
        self,
        name: str,
        count: _Counter,
        gaps: Sequence[Stretch],
        known: bool,
        counts_of: Callable[[EpochIndex], Sequence[int] | npt.NDArray[np.uint32]],
        which: int,
    ) -> Lane:
        bins: list[tuple[int, int, int]] = []
        for epoch in self._epochs(count.lo, count.hi):
            base, steps = epoch.window
            counts = np.asarray(counts_of(epoch))
            for index in counts.nonzero()[0].tolist():
                start = base + index * steps
                bins.append((max(start, epoch.start), min(start + steps, epoch.stop), int(counts[index])))
        spread, exact = count.spread(bins)
        for gap in gaps:
            spread += count.of(self._traps(gap)[which])
        return Lane(name, tuple(spread.tolist()), exact and known)

    def _exact_traps(self, lo: int, hi: int) -> tuple[Positions, Positions]:
        """Return where exceptions and interrupts were taken, by replaying whole bins."""
        found = [self._traps((start, min(start + BIN, self.end))) for start in range(lo - lo % BIN, hi, BIN)]
        empty = np.zeros(0, np.int64)
        return (
            np.concatenate([empty, *(traps for traps, _ in found)]),
            np.concatenate([empty, *(interrupts for _, interrupts in found)]),
        )

    def _traps(self, stretch: Stretch) -> tuple[Positions, Positions]:
        found = self._found_traps.get(stretch)
        if found is None:
            empty = np.zeros(0, np.int64)
            start, known = _beginning(self._found_traps, stretch, (empty, empty))
            with self._excursion("looking for traps", start, stretch[1]):
                rows = self._engine.traps(start, stretch[1])
            taken = rows[:, 1] >> np.uint64(63) != 0
            new = rows[~taken, 0].astype(np.int64), rows[taken, 0].astype(np.int64)
            found = np.concatenate((known[0], new[0])), np.concatenate((known[1], new[1]))
            _forget(self._found_traps)
            self._found_traps[stretch] = found
        return found


class _Counter:
    """Counts positions in the buckets of a window."""

    def __init__(self, lo: int, hi: int, buckets: int) -> None:
        self.lo, self.hi, self.buckets = lo, hi, buckets

    def of(self, positions: Iterable[int] | Positions, weights: Positions | None = None) -> Counts:
        """Return the counts of positions; those outside of the window do not count."""
        at = positions if isinstance(positions, np.ndarray) else np.array(list(positions), np.int64)
        inside = (at >= self.lo) & (at < self.hi)
        index = np.searchsorted(self._edges, at[inside], "right") - 1
        weight = None if weights is None else weights[inside]
        return np.bincount(index, weight, self.buckets).astype(np.int64)

    @cached_property
    def _edges(self) -> Positions:
        """The first position that belongs to each bucket."""
        # Python's integers: the product may need more than 64 bits
        span = self.hi - self.lo
        return np.array([self.lo - -bucket * span // self.buckets for bucket in range(self.buckets)], np.int64)

    def lane(
        self, name: str, positions: Iterable[int] | Positions, weights: Positions | None = None, exact: bool = True
    ) -> Lane:
        """Return a lane of positions."""
        return Lane(name, tuple(self.of(positions, weights).tolist()), exact)

    def spread(self, bins: Sequence[tuple[int, int, int]]) -> tuple[Counts, bool]:
        """Return counts of which only (start, stop, count) is known, and whether each lies in one bucket.

        Those that span buckets are spread evenly, as whole numbers: their sum stays what it is.
        """
        counts = np.zeros(self.buckets, np.int64)
        exact = True
        span = self.hi - self.lo
        for start, stop, count in bins:
            if stop <= self.lo or self.hi <= start:
                continue
            first = max((start - self.lo) * self.buckets // span, 0)
            last = min((stop - 1 - self.lo) * self.buckets // span, self.buckets - 1)
            if first == last and start >= self.lo and stop <= self.hi:
                counts[first] += count
                continue
            exact = False
            # the first positions of the buckets, kept within the bin, and how much of it lies before them
            edges = [self.lo - -bucket * span // self.buckets for bucket in range(first, last + 2)]
            before = [(min(max(edge, start), stop) - start) * count // (stop - start) for edge in edges]
            counts[first : last + 1] += np.diff(before)
        return counts, exact


def _beginning(memory: dict[Stretch, T], stretch: Stretch, nothing: T) -> tuple[int, T]:
    """Return where what is known of a stretch ends, and that; it is forgotten, as the whole is about to be known.

    The last stretch of a trace under recording grows with it.
    """
    start, stop = stretch
    ends = [end for begin, end in memory if begin == start and end < stop]
    if not ends:
        return start, nothing
    known = memory.pop((start, max(ends)))
    for end in ends:
        memory.pop((start, end), None)
    return max(ends), known


def _forget(memory: dict[Stretch, Any]) -> None:
    """Make room for one more."""
    while len(memory) >= _REMEMBERED:
        del memory[next(iter(memory))]
