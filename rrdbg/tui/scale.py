"""The arithmetic of the timeline: which steps each column of the screen stands for. No widget, no colour."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rrdbg_core.frozen import Frozen

MIN_STEPS = 8
"""The closest zoom: fewer steps than this on a screen say nothing more."""


class Window(Frozen):
    """The stretch of a run that the timeline shows, spread over `columns` cells."""

    start: int
    """The first position shown."""
    stop: int
    """One past the last position shown; always greater than `start`."""
    columns: int
    """Cells of the screen it is spread over, at least 1."""
    total: int
    """The last position of the run; positions 0 to `total` exist."""

    @property
    def span(self) -> int:
        """Positions in the window."""
        return self.stop - self.start

    @property
    def whole(self) -> bool:
        """Whether this is the whole run."""
        return self.start <= 0 and self.stop > self.total

    def column(self, position: int) -> int:
        """Return the cell in which `position` lies; it is off the screen when outside 0 to columns - 1."""
        return (position - self.start) * self.columns // self.span

    def first(self, column: int) -> int:
        """Return the first position of a cell: the smallest one that `column` maps there, or would."""
        return self.start + -(-column * self.span // self.columns)

    def position(self, column: int) -> int:
        """Return the position a click on `column` means, kept inside the run."""
        return min(max(self.first(column), 0), self.total)

    def contains(self, position: int) -> bool:
        """Return whether `position` is on the screen."""
        return self.start <= position < self.stop

    def zoom(self, factor: float, around: int) -> Window:
        """Return the window `factor` times as wide, with `around` staying in its column."""
        span = min(max(round(self.span * factor), min(MIN_STEPS, self.total + 1)), self.total + 1)
        if factor < 1 and span == self.span:
            span = max(span - 1, min(MIN_STEPS, self.total + 1))
        share = (around - self.start) / self.span if self.contains(around) else 0.5
        start = around - min(round(share * span), span - 1)
        return replace(self, start=start, stop=start + span)._inside()

    def follow(self, position: int) -> Window:
        """Return the window moved just far enough that `position` is comfortably inside it."""
        margin = self.span // 10
        if self.start + margin <= position < self.stop - margin or self.whole:
            return self
        start = position - self.span // 2 if not self.contains(position) else self.start
        if start == self.start:
            start = position - margin if position < self.start + margin else position - self.span + margin + 1
        return replace(self, start=start, stop=start + self.span)._inside()

    def pan(self, share: float) -> Window:
        """Return the window moved right by `share` of its width (negative: left)."""
        start = self.start + round(self.span * share)
        return replace(self, start=start, stop=start + self.span)._inside()

    def moved(self, steps: int) -> Window:
        """Return the window moved right by `steps` (negative: left)."""
        return replace(self, start=self.start + steps, stop=self.stop + steps)._inside()

    def between(self, one: int, other: int) -> Window:
        """Return the window that shows two positions and all between them, at the closest zoom or wider."""
        start, stop = min(one, other), max(one, other) + 1
        least = min(MIN_STEPS, self.total + 1)
        return replace(self, start=start, stop=max(stop, start + least))._inside()

    def _inside(self) -> Window:
        span = min(self.span, self.total + 1)
        start = min(max(self.start, 0), self.total + 1 - span)
        return replace(self, start=start, stop=start + span)


def whole_run(total: int, columns: int) -> Window:
    """Return the window over positions 0 to `total`."""
    return Window(0, total + 1, max(columns, 1), total)


def tick_step(span: int, columns: int, label_width: int = 12) -> int:
    """Return the distance of axis labels: 1, 2 or 5 times a power of ten, no two labels touching."""
    at_least = max(span * label_width // max(columns, 1), 1)
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor >= at_least:
                return step * factor
        step *= 10


def ticks(window: Window, step: int) -> Iterator[int]:
    """Yield the labelled positions of the window's axis."""
    first = -(-window.start // step) * step
    yield from range(max(first, 0), min(window.stop, window.total + 1), step)


class TimeMap:
    """Virtual time as a function of the position, from the points that are known.

    A step takes 2^shift ns. Journal events say where time jumped. Idle guests make it jump between events too: a point
    that was visited tells by how much, and the surplus is spread evenly over the stretch before it.
    """

    def __init__(self, shift: int) -> None:
        self.shift = shift
        """log2 of the ns that one step takes."""
        self._positions = [0]
        self._ns = [0]
        self._jumps = {0}

    def learn(self, position: int, ns: int, *, jump: bool = False) -> None:
        """Take the virtual time of a position; `jump`: an event moved it at this very position."""
        index = bisect_right(self._positions, position)
        if jump:
            self._jumps.add(position)
        if index and self._positions[index - 1] == position:
            self._ns[index - 1] = max(ns, self._ns[index - 1])
        else:
            self._positions.insert(index, position)
            self._ns.insert(index, ns)

    def ns(self, position: int) -> int:
        """Return the virtual time at a position."""
        index = bisect_right(self._positions, position) - 1
        known = self._positions[index]
        ns = self._ns[index] + ((position - known) << self.shift)
        if index + 1 < len(self._positions) and self._positions[index + 1] not in self._jumps:
            following = self._positions[index + 1]
            surplus = self._ns[index + 1] - self._ns[index] - ((following - known) << self.shift)
            ns += surplus * (position - known) // (following - known)
        return ns


def bin_points(window: Window, points: Sequence[int]) -> list[int]:
    """Count the ascending `points` that fall into each column of the window."""
    counts = [0] * window.columns
    for point in points[bisect_right(points, window.start - 1) : bisect_right(points, window.stop - 1)]:
        counts[window.column(point)] += 1
    return counts
